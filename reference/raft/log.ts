import { assert } from "../../seams/assert.ts";
import { Unstable } from "./unstable.ts";
import type { Entry, Index, SnapshotMetadata, Term } from "./types.ts";

const NONE: readonly Entry[] = [];

export interface LogStart {
  readonly snapshot: { readonly index: Index; readonly term: Term };
  readonly entries: readonly Entry[];
  readonly commit: Index;
  readonly applied: Index;
}

/**
 * The raft log: every entry since the snapshot, durable or not, in memory.
 *
 *     snapshotIndex          applied   applying    committed         lastIndex
 *   ------|----------------------|---------|-----------|-----------------|
 *   gone  | firstIndex ...                       durable may be anywhere from here ->
 *
 * Invariant: snapshotIndex <= applied <= applying <= committed <= lastIndex, and applying <= durable,
 * but while a received snapshot waits to be installed: applied <= applying <= snapshotIndex = committed.
 */
export class RaftLog {
  /** `#entries[i].index === snapshotIndex + 1 + i`; terms never fall along it (Raft 5.3). */
  #entries: Entry[];

  /** The entry before the first one held; entries up to it are in a snapshot. Moves on `compact` and `restore`. */
  snapshotIndex: Index;
  snapshotTerm: Term;

  /**
   * Highest index known to be on a majority for good (Raft 5.3). Moves when the leader's count or a leader's message says so;
   * never falls, not even over a restart.
   */
  committed: Index;

  /** Highest index given to the edge in `Ready.committed`. Never falls: an entry is handed out once. */
  applying: Index;

  /** Highest index that the edge says it applied. `compact` goes no further, and the membership is the one at this index. */
  applied: Index;

  readonly unstable: Unstable;

  constructor(start: LogStart) {
    this.snapshotIndex = start.snapshot.index;
    this.snapshotTerm = start.snapshot.term;
    this.#entries = [...start.entries];
    let before: Index = this.snapshotIndex;
    for (const entry of this.#entries) {
      assert(entry.index === before + 1, `log entry ${before + 1} is followed by ${entry.index}: the log has a gap`);
      before = entry.index;
    }
    // The commit index is written without a sync, so the state machine may be ahead of what the log remembers of it.
    this.applied = Math.max(start.applied, start.snapshot.index) as Index;
    this.committed = Math.max(start.commit, this.applied, this.#committedByLaterConfChange()) as Index;
    this.applying = this.applied;
    assert(
      this.committed <= this.lastIndex,
      `the log ends at ${this.lastIndex}, before ${this.committed} which is committed: entries were lost`,
    );
    this.unstable = new Unstable(this.lastIndex);
  }

  /**
   * A leader proposes a membership change only after it applied the one before: so the last but one in a log is committed, even if
   * a torn write kept these entries and lost the commit index that came with them. Else this member could campaign with a membership
   * two changes old, whose majority need not meet the present one.
   */
  #committedByLaterConfChange(): Index {
    const last = this.#entries.findLastIndex((entry) => entry.type === "confChange");
    const before =
      last <= 0 ? undefined : this.#entries.slice(0, last).findLast((entry) => entry.type === "confChange");
    return before?.index ?? this.snapshotIndex;
  }

  get firstIndex(): Index {
    return (this.snapshotIndex + 1) as Index;
  }

  get lastIndex(): Index {
    return (this.snapshotIndex + this.#entries.length) as Index;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.snapshotTerm;
  }

  /** `undefined` outside of [snapshotIndex, lastIndex]. */
  term(index: Index): Term | undefined {
    if (index === this.snapshotIndex) return this.snapshotTerm;
    return this.#entries[index - this.snapshotIndex - 1]?.term;
  }

  matches(index: Index, term: Term): boolean {
    return this.term(index) === term;
  }

  /** Raft 5.4.1: the later last term wins, then the longer log. */
  isUpToDate(lastIndex: Index, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** A leader only appends (Raft 5.3). */
  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, "a leader appends at the end of its log");
    this.#entries.push(entry);
  }

  /**
   * A follower's append after a matching (index, term) (Raft 5.3): entries it already has are skipped,
   * the first conflict cuts the rest of the log off. Returns the last index that now matches the leader's log.
   */
  appendAfter(index: Index, entries: readonly Entry[]): Index {
    let known = 0;
    for (const entry of entries) {
      assert(entry.index === index + 1 + known, "an append's entries follow each other");
      if (!this.matches(entry.index, entry.term)) break;
      known++;
    }
    const first = entries[known];
    if (first !== undefined) {
      assert(first.index > this.committed, `entry ${first.index} is committed and would be overwritten`);
      if (first.index <= this.lastIndex) {
        this.#entries.length = first.index - this.snapshotIndex - 1;
        this.unstable.truncate(first.index);
      }
      for (let i = known; i < entries.length; i++) this.#entries.push(entries[i] as Entry);
    }
    return (index + entries.length) as Index;
  }

  /** Returns whether the commit index moved. */
  commitTo(index: Index): boolean {
    if (index <= this.committed) return false;
    assert(
      index <= this.lastIndex,
      `${index} is committed but the log ends at ${this.lastIndex}: acknowledged entries were lost`,
    );
    this.committed = index;
    return true;
  }

  /** Entries from `from` up to `to`: the first always, then as long as their data fits into `maxBytes`. */
  slice(from: Index, to: Index, maxBytes: number): readonly Entry[] {
    const start = from - this.snapshotIndex - 1;
    assert(start >= 0, "a slice starts after the snapshot");
    const limit = to - this.snapshotIndex;
    let end = start;
    let sizeBytes = 0;
    while (end < limit) {
      sizeBytes += this.#entries[end]?.data.byteLength ?? 0;
      if (sizeBytes > maxBytes && end > start) break;
      end++;
    }
    return end > start ? this.#entries.slice(start, end) : NONE;
  }

  /** Bytes of data in (from, to] that were proposed in `term`. */
  bytesOfTerm(term: Term, from: Index, to: Index): number {
    let sizeBytes = 0;
    for (let i = from - this.snapshotIndex; i < to - this.snapshotIndex; i++) {
      const entry = this.#entries[i];
      if (entry !== undefined && entry.term === term) sizeBytes += entry.data.byteLength;
    }
    return sizeBytes;
  }

  /**
   * Last index at or before `index` whose term is at most `term`, or the snapshot's: where two logs may first agree.
   * One refused append then skips a whole term instead of one entry (Raft 5.3). Binary search: terms never fall.
   */
  lastOfTermAtMost(index: Index, term: Term): Index {
    let low: number = this.snapshotIndex;
    let high = Math.min(index, this.lastIndex);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.term(middle as Index) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return Math.min(low, index) as Index;
  }

  /** Whether a membership change is committed here but not applied yet. Scans what is unapplied: for elections only. */
  hasUnappliedConfChange(): boolean {
    for (let i = this.applied - this.snapshotIndex; i < this.committed - this.snapshotIndex; i++) {
      if (this.#entries[i]?.type === "confChange") return true;
    }
    return false;
  }

  /** Entries to make durable, each handed out once. */
  takeUnwritten(): readonly Entry[] {
    const { handed } = this.unstable;
    if (handed >= this.lastIndex) return NONE;
    const entries = this.#entries.slice(handed - this.snapshotIndex);
    this.unstable.hand((handed + 1) as Index, this.lastIndex, this.lastTerm);
    return entries;
  }

  /** Entries to apply, each handed out once: committed, and durable here, so that no crash leaves the state machine ahead of the log. */
  takeCommitted(): readonly Entry[] {
    const to = Math.min(this.committed, this.unstable.durable) as Index;
    if (this.unstable.snapshot !== undefined || to <= this.applying) return NONE;
    const entries = this.#entries.slice(this.applying - this.snapshotIndex, to - this.snapshotIndex);
    this.applying = to;
    return entries;
  }

  appliedTo(index: Index): void {
    if (index <= this.applied) return;
    assert(index <= this.applying, `applied ${index}, but only entries up to ${this.applying} were handed out`);
    this.applied = index;
  }

  compact(to: Index): void {
    if (to <= this.snapshotIndex) return;
    assert(to <= this.applied, `compact to ${to}, but only entries up to ${this.applied} are applied`);
    const term = this.term(to);
    assert(term !== undefined, "a compacted entry is in the log");
    this.#entries = this.#entries.slice(to - this.snapshotIndex);
    this.snapshotIndex = to;
    this.snapshotTerm = term;
  }

  /** A leader's snapshot takes the place of the whole log. */
  restore(snapshot: SnapshotMetadata): void {
    assert(snapshot.index > this.committed, "a snapshot never goes back");
    this.#entries = [];
    this.snapshotIndex = snapshot.index;
    this.snapshotTerm = snapshot.term;
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  /** Returns the snapshot that took effect, if `index` is that of the one waited for. */
  snapshotInstalled(index: Index): SnapshotMetadata | undefined {
    const snapshot = this.unstable.snapshotInstalled(index);
    if (snapshot === undefined) return undefined;
    this.applying = index;
    this.applied = index;
    return snapshot;
  }
}
