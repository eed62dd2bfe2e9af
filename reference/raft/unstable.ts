import { assert } from "../../seams/assert.ts";
import type { Index, SnapshotMetadata, Term } from "./types.ts";

interface Write {
  readonly first: Index;
  readonly last: Index;
  readonly lastTerm: Term;
}

/**
 * How far the log has gone on its way to the disk. Entries themselves live in `RaftLog`.
 * Invariant: durable <= handed <= the log's last index.
 */
export class Unstable {
  /**
   * Last index given to the edge to write. Grows when a Ready takes entries; falls to just before
   * the first replaced entry when a conflict truncates the log.
   */
  handed: Index;

  /**
   * Last index whose entry on disk is, and will stay, the entry in memory. Grows on `acknowledge`; falls with a truncation.
   * A leader counts itself up to here, and nothing beyond it is applied.
   */
  durable: Index;

  /** A snapshot that replaced the whole log and is not installed yet. Nothing is applied while it is there. */
  snapshot: SnapshotMetadata | undefined;
  snapshotHanded = false;

  /** Writes given to the edge and not acknowledged, oldest first; they become durable in this order. */
  #writes: Write[] = [];

  constructor(last: Index) {
    this.handed = last;
    this.durable = last;
  }

  get waitsForDisk(): boolean {
    return this.#writes.length > 0 || this.snapshot !== undefined;
  }

  hand(first: Index, last: Index, lastTerm: Term): void {
    assert(first === this.handed + 1, "entries are handed to the disk without a gap");
    this.#writes.push({ first, last, lastTerm });
    this.handed = last;
  }

  /** Entries from `from` on were replaced in memory. */
  truncate(from: Index): void {
    if (this.handed >= from) this.handed = (from - 1) as Index;
    if (this.durable >= from) this.durable = (from - 1) as Index;
  }

  /**
   * The write that ends at (index, term) is durable, and with it all earlier ones.
   * The same (index, term) may be under way twice, with another term's entry between them on the disk's queue:
   * so it stands for the oldest such write, and an entry that a later write replaces again does not count yet.
   */
  acknowledge(index: Index, term: Term): boolean {
    const at = this.#writes.findIndex((write) => write.last === index && write.lastTerm === term);
    if (at < 0) return false;
    this.#writes.splice(0, at + 1);
    let settled = Math.min(index, this.handed);
    for (const write of this.#writes) settled = Math.min(settled, write.first - 1);
    if (settled <= this.durable) return false;
    this.durable = settled as Index;
    return true;
  }

  /** A snapshot took the place of the log: what was on its way to the disk no longer matters. */
  restore(snapshot: SnapshotMetadata): void {
    this.#writes = [];
    this.snapshot = snapshot;
    this.snapshotHanded = false;
    this.handed = snapshot.index;
    this.durable = snapshot.index;
  }

  takeSnapshot(): SnapshotMetadata | undefined {
    if (this.snapshotHanded) return undefined;
    this.snapshotHanded = this.snapshot !== undefined;
    return this.snapshot;
  }

  /** The snapshot that was waited for; `undefined` for an older one that has since been replaced. */
  snapshotInstalled(index: Index): SnapshotMetadata | undefined {
    const { snapshot } = this;
    if (snapshot?.index !== index) return undefined;
    this.snapshot = undefined;
    return snapshot;
  }
}
