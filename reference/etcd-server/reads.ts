import type { Clock, Instant } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import type { ReadState } from "../raft/types.ts";
import { refusal, type RpcError } from "./errors.ts";

/** etcd's readIndexRetryTime: a lost question is asked again. */
const RETRY_MS = 500;
/** A round that served at least so many says that reads come in crowds: the next is worth gathering. A lone client never waits. */
const CROWD = 8;

export interface ReadsConfig {
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
  readonly timeoutMs: number;
  /** Under many reads, rounds begin at most once in so long; 0: as soon as the last one ended. */
  readonly gatherMs: number;
  /** Asks raft; the answer comes back through `answered`, or never. */
  readonly ask: (context: Uint8Array) => void;
}

interface Waiter {
  readonly startedAt: Instant;
  readonly resolve: () => void;
  readonly reject: (error: RpcError) => void;
}

interface Round {
  /** Every question of this round: all were asked after each of its reads arrived, so the answer to any of them serves. */
  readonly contexts: Set<bigint>;
  readonly waiters: Waiter[];
  askedAt: Instant;
}

/**
 * Linearizable reads, many for one question (Raft thesis 6.4). A read that arrives while a question is under way belongs to the next:
 * the one under way may have been answered by a leader that was deposed before this read began.
 */
export class Reads {
  readonly #config: ReadsConfig;
  #arriving: Waiter[] = [];
  #round: Round | undefined;
  /** Before it no round begins while reads come in crowds. */
  #notBefore = Number.NEGATIVE_INFINITY;
  /** Confirmed reads that wait until their index is applied here. */
  #confirmed: { readonly index: number; readonly waiters: readonly Waiter[] }[] = [];

  constructor(config: ReadsConfig) {
    this.#config = config;
  }

  /** Resolves when a read of the applied state is linearizable for a caller that begins now. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#arriving.push({ startedAt: this.#config.clock.now(), resolve, reject });
    });
  }

  /** Starts a round if reads wait and none is under way. Returns how many milliseconds it would rather gather first; 0: no reason to come back. */
  start(): number {
    if (this.#round !== undefined || this.#arriving.length === 0) return 0;
    const now = this.#config.clock.now();
    if (now < this.#notBefore) return this.#notBefore - now;
    if (this.#arriving.length >= CROWD) this.#notBefore = now + this.#config.gatherMs;
    this.#round = { contexts: new Set(), waiters: this.#arriving, askedAt: now };
    this.#arriving = [];
    this.#ask(this.#round);
    return 0;
  }

  answered(states: readonly ReadState[], applied: number): void {
    for (const { context, index } of states) {
      if (this.#round === undefined || context.length !== 8) continue;
      if (!this.#round.contexts.has(new DataView(context.buffer, context.byteOffset, 8).getBigUint64(0))) continue;
      this.#confirmed.push({ index, waiters: this.#round.waiters });
      this.#round = undefined;
    }
    this.applied(applied);
  }

  applied(index: number): void {
    if (this.#confirmed.length === 0) return;
    this.#confirmed = this.#confirmed.filter((batch) => {
      if (batch.index > index) return true;
      for (const waiter of batch.waiters) waiter.resolve();
      return false;
    });
  }

  /** There is another leader: what was asked of the old one is asked again. */
  leaderChanged(): void {
    if (this.#round !== undefined) this.#ask(this.#round);
  }

  tick(): void {
    const now = this.#config.clock.now();
    const late = (waiter: Waiter) => now - waiter.startedAt >= this.#config.timeoutMs;
    const expire = (waiters: Waiter[], error: () => RpcError) => {
      const first = waiters[0];
      if (first === undefined || !late(first)) return waiters;
      for (const waiter of waiters) if (late(waiter)) waiter.reject(error());
      return waiters.filter((waiter) => !late(waiter));
    };
    this.#arriving = expire(this.#arriving, () => refusal("timeout"));
    this.#confirmed = this.#confirmed.map(({ index, waiters }) => ({
      index,
      waiters: expire([...waiters], () => refusal("timeoutApplied")),
    }));
    if (this.#round === undefined) return;
    const left = expire(this.#round.waiters, () => refusal("timeout"));
    if (left.length === 0) this.#round = undefined;
    else {
      if (left !== this.#round.waiters) this.#round = { ...this.#round, waiters: left };
      if (now - this.#round.askedAt >= RETRY_MS) this.#ask(this.#round);
    }
  }

  stop(): void {
    const waiters = [
      ...this.#arriving,
      ...(this.#round?.waiters ?? []),
      ...this.#confirmed.flatMap((batch) => batch.waiters),
    ];
    this.#arriving = [];
    this.#round = undefined;
    this.#confirmed = [];
    for (const waiter of waiters) waiter.reject(refusal("stopped"));
  }

  #ask(round: Round): void {
    const id = this.#config.random.uint64();
    round.contexts.add(id);
    round.askedAt = this.#config.clock.now();
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, id);
    this.#config.ask(context);
  }
}
