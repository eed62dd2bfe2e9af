import type { Index, NodeId, PureRules } from "./types.ts";

export interface ReadRequest {
  /** Who asked: this member, or a follower that forwarded. */
  readonly from: NodeId;
  readonly context: Uint8Array;
}

export interface ReadAnswer extends ReadRequest {
  readonly index: Index;
}

interface Batch {
  /** The first heartbeat round that begins after every read in the batch arrived. */
  readonly firstRound: number;
  /** Commit index when the last of them arrived. */
  index: Index;
  readonly requests: ReadRequest[];
}

/** Reads that wait are bounded; those beyond are lost, and the edge asks again. */
const MAX_WAITING_READS = 100_000;

/**
 * ReadIndex (Raft thesis 6.4) for one term of one leader: reads that arrive between two heartbeat rounds share the next one.
 * A read is answered when a majority has answered a round that began after it arrived: then this member
 * still led at that moment, so no later leader had committed anything when the read began.
 */
export class ReadQueue {
  readonly #rules: PureRules;

  /** Last round begun; rounds count from 1. Grows in `beginRound`. */
  #round = 0;

  /** Last round that a majority answered. Invariant: confirmed <= round. */
  #confirmed = 0;

  /** Reads that came before this leader had committed an entry of its term: its commit index may be behind (thesis 6.4, step 1). */
  #tooEarly: ReadRequest[] = [];

  /** In order of arrival. Only the last one may be open: its round has not begun, later reads still join it. */
  #batches: Batch[] = [];

  /** Requests in both lists. */
  #waiting = 0;

  constructor(rules: PureRules) {
    this.#rules = rules;
  }

  add(request: ReadRequest, commit: Index, committedInTerm: boolean): void {
    if (this.#waiting >= MAX_WAITING_READS) return;
    this.#waiting++;
    if (committedInTerm) this.#join(request, commit);
    else this.#tooEarly.push(request);
  }

  /** The leader has committed an entry of its term. */
  open(commit: Index): void {
    for (const request of this.#tooEarly) this.#join(request, commit);
    this.#tooEarly = [];
  }

  #join(request: ReadRequest, commit: Index): void {
    const last = this.#batches.at(-1);
    if (last !== undefined && last.firstRound > this.#round) {
      last.requests.push(request);
      last.index = commit;
    } else {
      this.#batches.push({ firstRound: this.#round + 1, index: commit, requests: [request] });
    }
  }

  get wantsRound(): boolean {
    const last = this.#batches.at(-1);
    return last !== undefined && last.firstRound > this.#round;
  }

  beginRound(): number {
    this.#round++;
    return this.#round;
  }

  get lastRound(): number {
    return this.#round;
  }

  /** The round that an ordinary heartbeat repeats, in case its first messages were lost; `undefined` when nothing waits for one. */
  get roundToRepeat(): number | undefined {
    return this.#batches.length > 0 && this.#round > 0 ? this.#round : undefined;
  }

  /** A majority has answered `round`, and so is known to have followed this leader after it began. */
  confirm(round: number): readonly ReadAnswer[] {
    if (round <= this.#confirmed) return [];
    this.#confirmed = round;
    const answers: ReadAnswer[] = [];
    let answered = 0;
    for (const batch of this.#batches) {
      if (!this.#rules.confirmsRead(round >= batch.firstRound)) break;
      for (const request of batch.requests) answers.push({ ...request, index: batch.index });
      answered++;
    }
    this.#batches.splice(0, answered);
    this.#waiting -= answers.length;
    return answers;
  }
}

export function encodeRound(round: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(round));
  return bytes;
}

/** 0 for a heartbeat that belonged to no round. */
export function decodeRound(context: Uint8Array | undefined): number {
  if (context?.byteLength !== 8) return 0;
  return Number(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0));
}
