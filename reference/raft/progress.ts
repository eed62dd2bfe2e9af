import { assert } from "../../seams/assert.ts";
import type { Index, ProgressStatus } from "./types.ts";

/**
 * Appends under way to one follower: a ring of the last index in each, so that a slow follower
 * holds a bounded number of messages (Raft thesis 10.2.1, pipelining).
 */
export class Inflights {
  readonly #lastIndexes: number[];
  #start = 0;
  #count = 0;

  constructor(capacity: number) {
    assert(capacity > 0, "at least one append may be under way");
    this.#lastIndexes = Array.from({ length: capacity }, () => 0);
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.#lastIndexes.length;
  }

  add(lastIndex: Index): void {
    assert(!this.full, "no append is sent past the window");
    this.#lastIndexes[(this.#start + this.#count) % this.#lastIndexes.length] = lastIndex;
    this.#count++;
  }

  /** An acknowledgement up to `index` covers every append that ends at or before it. */
  freeUpTo(index: Index): void {
    while (this.#count > 0 && (this.#lastIndexes[this.#start] ?? 0) <= index) {
      this.#start = (this.#start + 1) % this.#lastIndexes.length;
      this.#count--;
    }
  }

  clear(): void {
    this.#start = 0;
    this.#count = 0;
  }
}

/**
 * What a leader knows of one follower's log.
 *
 * - `probe`: where the logs agree is not known; one append at a time.
 * - `replicate`: it is known; `next` runs ahead, up to the window.
 * - `snapshot`: the follower needs entries that are compacted; nothing is sent until the edge reports.
 *
 * Invariant: match < next.
 */
export class Progress {
  /** Highest index known to be durable on the follower and equal to ours. Only grows within a term. */
  match: Index = 0 as Index;

  /** First index of the next append. Runs ahead in `replicate`; falls when an append is refused. */
  next: Index;

  state: "probe" | "replicate" | "snapshot" = "probe";

  /** Index of the snapshot under way; 0 outside of `snapshot`. */
  pendingSnapshot: Index = 0 as Index;

  /** Highest commit index sent and usable there: the follower is told of a later one even when there are no entries. */
  sentCommit: Index = 0 as Index;

  /** In `probe`: an append is out and nothing came back. Cleared by any answer, a lost append by the next heartbeat's answer. */
  probeSent = false;

  /** In `replicate`: a heartbeat came back while appends are unanswered; an empty append finds out whether they were lost. */
  nudge = false;

  /**
   * Since the last tick the follower acknowledged something, or something was sent to it again: read rounds answer many times a tick,
   * and must not each make a full pipeline be asked whether it is broken.
   */
  stirred = false;

  /** The follower was heard of since the last quorum check. */
  recentActive = false;

  /** Latest heartbeat round the follower answered in this term (Raft thesis 6.4). */
  answeredRound = 0;

  readonly inflights: Inflights;

  constructor(next: Index, maxInflight: number) {
    this.next = next;
    this.inflights = new Inflights(maxInflight);
  }

  /** Level, not edge: whether something is worth sending is read off the state, whenever a Ready is taken. */
  appendDue(lastIndex: Index, committed: Index): boolean {
    if (this.state === "snapshot") return false;
    if (this.state === "probe") return !this.probeSent;
    if (this.nudge) return true;
    if (this.next <= lastIndex && !this.inflights.full) return true;
    return this.sentCommit < Math.min(committed, this.next - 1);
  }

  sent(last: Index, entryCount: number, committed: Index): void {
    this.sentCommit = Math.min(committed, last) as Index;
    this.nudge = false;
    if (this.state === "probe") {
      this.probeSent = true;
    } else if (entryCount > 0) {
      this.next = (last + 1) as Index;
      this.inflights.add(last);
    }
  }

  becomeProbe(): void {
    const from = this.state === "snapshot" ? Math.max(this.match, this.pendingSnapshot) : this.match;
    this.#enter("probe", (from + 1) as Index);
  }

  becomeReplicate(): void {
    this.#enter("replicate", (this.match + 1) as Index);
  }

  becomeSnapshot(index: Index): void {
    this.#enter("snapshot", this.next);
    this.pendingSnapshot = index;
  }

  #enter(state: Progress["state"], next: Index): void {
    this.state = state;
    this.next = next;
    this.pendingSnapshot = 0 as Index;
    this.probeSent = false;
    this.nudge = false;
    this.sentCommit = Math.min(this.sentCommit, next - 1) as Index;
    this.inflights.clear();
  }

  /** The follower has everything up to `index`. False: it says nothing new. */
  acknowledge(index: Index): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.stirred = true;
    this.next = Math.max(this.next, index + 1) as Index;
    this.probeSent = false;
    return true;
  }

  /**
   * The follower refused an append after `refused`, and its log may agree at `hint`. False: the refusal is old
   * (it was overtaken by an acknowledgement, or answers an append that is no longer the current probe).
   */
  refuse(refused: Index, hint: Index): boolean {
    if (this.state === "replicate") {
      if (refused <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.state !== "probe" || this.next - 1 !== refused) return false;
    this.next = Math.max(Math.min(refused, hint + 1), this.match + 1) as Index;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1) as Index;
    this.probeSent = false;
    return true;
  }

  /** A heartbeat came back: the follower is there. What it has not acknowledged may have been lost; once a tick that is found out. */
  heardOf(lastIndex: Index): void {
    this.recentActive = true;
    if (this.stirred) return;
    this.stirred = true;
    this.probeSent = false;
    if (this.state === "replicate" && this.match < lastIndex) this.nudge = true;
  }

  status(): ProgressStatus {
    return { match: this.match, next: this.next, state: this.state, recentActive: this.recentActive };
  }
}
