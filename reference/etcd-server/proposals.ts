import { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type { Clock, Instant } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import type { ApplyResult } from "../apply/types.ts";
import { encoded } from "../transport/encode.ts";
import { refusal, type RpcError } from "./errors.ts";

/** Requests that wait to enter the log, and those that wait for their result: both bounded, so that a stuck cluster answers instead of growing. */
const MAX_QUEUED = 20_000;
const MAX_WAITING = 100_000;

const NOTHING = InternalRaftRequest.create();

export interface ProposalsConfig {
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
  readonly memberId: bigint;
  readonly timeoutMs: number;
  readonly maxRequestBytes: number;
}

interface Waiter {
  readonly startedAt: Instant;
  readonly resolve: (result: ApplyResult) => void;
  readonly reject: (error: RpcError) => void;
}

interface Queued {
  readonly id: bigint;
  readonly data: Uint8Array;
  readonly at: Instant;
  readonly wanted: () => boolean;
}

/**
 * Write requests of this member's clients: each gets an id, waits in a queue until raft takes it, then for the result of the entry
 * that carries the id. A request whose time is up is answered, but its entry may still come: the answer is in doubt, as etcd's is.
 */
export class Proposals {
  readonly #config: ProposalsConfig;
  readonly #waiters = new Map<bigint, Waiter>();
  #queue: Queued[] = [];
  #nextId: bigint;

  constructor(config: ProposalsConfig) {
    this.#config = config;
    // Two bytes of the member, then a count from a random start: ids of an earlier life of this member do not come again.
    this.#nextId = ((config.memberId & 0xffffn) << 48n) | (config.random.uint64() & 0x7fff_ffff_ffffn);
  }

  /** A fresh id, unlike that of any other member (used for requests, and for leases whose client leaves the choice to us). */
  nextId(): bigint {
    return this.#nextId++;
  }

  get queued(): number {
    return this.#queue.length;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** When the oldest queued request came. */
  get oldestQueuedAt(): Instant | undefined {
    return this.#queue[0]?.at;
  }

  /**
   * Resolves with what the request's entry did; rejects with an RpcError. `wanted` is asked when raft is about to get it:
   * what only this leader may decide must not go to the next one after a wait in the queue.
   */
  add(request: Partial<InternalRaftRequest>, wanted: () => boolean = () => true): Promise<ApplyResult> {
    if (this.#queue.length >= MAX_QUEUED || this.#waiters.size >= MAX_WAITING)
      return Promise.reject(refusal("tooManyRequests"));
    const id = this.nextId();
    const data = encoded(InternalRaftRequest, {
      ...NOTHING,
      ...request,
      header: { ID: id, username: "", authRevision: 0n },
    });
    if (data.length > this.#config.maxRequestBytes) return Promise.reject(refusal("requestTooLarge"));
    const at = this.#config.clock.now();
    this.#queue.push({ id, data, at, wanted });
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { startedAt: at, resolve, reject });
    });
  }

  /** Hands the queue to raft, oldest first, until raft takes no more. */
  feed(propose: (data: Uint8Array) => "accepted" | "dropped"): void {
    let taken = 0;
    for (const { id, data, wanted } of this.#queue) {
      if (!wanted()) this.#refuse(id);
      if (this.#waiters.has(id) && propose(data) === "dropped") break;
      taken++;
    }
    if (taken === this.#queue.length) this.#queue = [];
    else if (taken > 0) this.#queue.splice(0, taken);
  }

  #refuse(id: bigint): void {
    this.#waiters.get(id)?.reject(refusal("notLeader"));
    this.#waiters.delete(id);
  }

  settle(result: ApplyResult): void {
    if (result.requestId === 0n) return;
    const waiter = this.#waiters.get(result.requestId);
    if (waiter === undefined) return;
    this.#waiters.delete(result.requestId);
    waiter.resolve(result);
  }

  /** Answers the requests whose time is up. @param leaderSince when the present leader was first heard of. */
  expire(leaderSince: Instant | undefined, electionMs: number): void {
    const now = this.#config.clock.now();
    for (const [id, waiter] of this.#waiters) {
      if (now - waiter.startedAt < this.#config.timeoutMs) return;
      this.#waiters.delete(id);
      const lostLeader =
        leaderSince !== undefined && waiter.startedAt < leaderSince && waiter.startedAt > leaderSince - 2 * electionMs;
      waiter.reject(refusal(lostLeader ? "timeoutLeaderFail" : "timeout"));
    }
  }

  stop(): void {
    this.#queue = [];
    for (const waiter of this.#waiters.values()) waiter.reject(refusal("stopped"));
    this.#waiters.clear();
  }
}
