import type { Clock, Instant } from "../../seams/clock.ts";
import type { LeaseId } from "../mvcc/types.ts";

/** etcd's bound (lease/lessor.go): about 285 years in seconds. */
export const MAX_LEASE_TTL_SECONDS = 9_000_000_000;
/** etcd revokes at most so many leases in one pass, so that a mass expiry does not crowd out everything else. */
const MAX_REVOKES_PER_PASS = 500;
/** A revocation that did not come through the log in this time is proposed again. */
const REVOKE_RETRY_MS = 3000;

export interface LessorConfig {
  readonly clock: Pick<Clock, "now">;
  /** Every live lease of the applied state. */
  readonly leases: () => ReadonlyMap<LeaseId, { readonly ttlSeconds: number }>;
  /** Proposes LeaseRevoke; the lease ends when the log says so. */
  readonly revoke: (id: LeaseId) => void;
}

interface Deadline {
  readonly at: Instant;
  readonly id: LeaseId;
}

/**
 * Deadlines of leases: on the leader only, on its monotonic clock only. The log knows that a lease exists and how long it may live;
 * when it ends is decided here and enters the log as a revocation. A new leader knows no deadlines, so it grants each lease its full time again.
 */
export class Lessor {
  readonly #config: LessorConfig;
  #leading = false;
  #reign = 0;
  readonly #deadlines = new Map<LeaseId, Instant>();
  readonly #heap: Deadline[] = [];
  /** Leases whose revocation is on its way through the log, with the time to try again. */
  readonly #revoking = new Map<LeaseId, Instant>();

  constructor(config: LessorConfig) {
    this.#config = config;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** Counts this member's times as leader: a decision of one is none of the next. */
  get reign(): number {
    return this.#reign;
  }

  /** This member became leader: every lease gets its full TTL, and `extendMs` for the time the election took. */
  promote(extendMs: number): void {
    this.#clear();
    this.#leading = true;
    this.#reign += 1;
    const now = this.#config.clock.now();
    for (const [id, { ttlSeconds }] of this.#config.leases())
      this.#setDeadline(id, (now + ttlSeconds * 1000 + extendMs) as Instant);
  }

  demote(): void {
    this.#leading = false;
    this.#clear();
  }

  granted(id: LeaseId, ttlSeconds: number): void {
    if (this.#leading) this.#setDeadline(id, this.#after(ttlSeconds));
  }

  revoked(id: LeaseId): void {
    this.#deadlines.delete(id);
    this.#revoking.delete(id);
  }

  /** A new full TTL; the TTL in seconds, or undefined if the lease is gone or its time is up. Only the leader may ask. */
  renew(id: LeaseId): number | undefined {
    const lease = this.#config.leases().get(id);
    const deadline = this.#deadlines.get(id);
    if (lease === undefined || deadline === undefined) return undefined;
    // An expired lease stays expired, even while its revocation is still on the way.
    if (this.#revoking.has(id) || deadline <= this.#config.clock.now()) return undefined;
    // The heap keeps the older time: it is looked up again when that comes.
    this.#deadlines.set(id, this.#after(lease.ttlSeconds));
    return lease.ttlSeconds;
  }

  /** Milliseconds left; undefined if there is no such lease (or its time is up). */
  remainingMs(id: LeaseId): number | undefined {
    const deadline = this.#deadlines.get(id);
    if (deadline === undefined) return undefined;
    const left = deadline - this.#config.clock.now();
    return left > 0 ? left : undefined;
  }

  /** Looks for leases whose time is up and asks for their end. */
  tick(): void {
    if (!this.#leading) return;
    const now = this.#config.clock.now();
    let room = MAX_REVOKES_PER_PASS;
    for (const [id, retryAt] of this.#revoking) {
      if (retryAt > now || room === 0) break;
      room--;
      this.#revoking.delete(id);
      this.#startRevoke(id, now);
    }
    while (room > 0) {
      const first = this.#heap[0];
      if (first === undefined || first.at > now) return;
      this.#pop();
      const deadline = this.#deadlines.get(first.id);
      if (deadline === undefined || this.#revoking.has(first.id)) continue;
      if (deadline > now) {
        this.#push({ at: deadline, id: first.id });
      } else {
        room--;
        this.#startRevoke(first.id, now);
      }
    }
  }

  #startRevoke(id: LeaseId, now: Instant): void {
    this.#revoking.set(id, (now + REVOKE_RETRY_MS) as Instant);
    this.#config.revoke(id);
  }

  #after(ttlSeconds: number): Instant {
    return (this.#config.clock.now() + ttlSeconds * 1000) as Instant;
  }

  #setDeadline(id: LeaseId, at: Instant): void {
    this.#deadlines.set(id, at);
    this.#push({ at, id });
  }

  #clear(): void {
    this.#deadlines.clear();
    this.#revoking.clear();
    this.#heap.length = 0;
  }

  #push(item: Deadline): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || above.at <= item.at) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      const smaller = right !== undefined && right.at < left.at ? right : left;
      if (smaller === right) child++;
      if (smaller.at >= last.at) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}
