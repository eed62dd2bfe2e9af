import { assert } from "../../seams/assert.ts";
import type { Entry, HardState, Index, SnapshotMetadata, Term } from "../raft/types.ts";
import { WalError } from "./error.ts";
import {
  CRC_RECORD,
  decodeEntry,
  decodeHardState,
  decodeMetadata,
  decodeSnapshot,
  ENTRY_RECORD,
  isHardState,
  METADATA_RECORD,
  SNAPSHOT_RECORD,
  STATE_RECORD,
} from "./record.ts";
import type { WalContents, WalMetadata } from "./types.ts";

export const EMPTY_STATE: HardState = { term: 0 as Term, vote: 0n as HardState["vote"], commit: 0 as Index };

/** Folds the records of a log, in order, into what the log says. */
export class ContentsFold {
  #metadata: WalMetadata | undefined;
  /** Still encoded: of the many in a log only the last one counts. */
  #hardState: Uint8Array | undefined;
  #entries: Entry[] = [];
  /** Index that the first of `#entries` has, or would have; undefined while nothing says so. */
  #firstIndex: number | undefined;
  readonly #snapshots: SnapshotMetadata[] = [];

  get lastIndex(): number {
    const newest = this.#snapshots.reduce((most, { index }) => Math.max(most, index), 0);
    return this.#entries.at(-1)?.index ?? Math.max(newest, (this.#firstIndex ?? 1) - 1);
  }

  get hardState(): HardState {
    return this.#hardState === undefined ? EMPTY_STATE : decodeHardState(this.#hardState);
  }

  record(type: number, data: Uint8Array, path: string, offset: number): void {
    switch (type) {
      case METADATA_RECORD:
        this.#addMetadata(decodeMetadata(data), path);
        return;
      case ENTRY_RECORD:
        this.#addEntry(decodeEntry(data), path, offset);
        return;
      case STATE_RECORD:
        if (!isHardState(data)) throw new RangeError("not what a hard state encodes to");
        this.#hardState = data;
        return;
      case SNAPSHOT_RECORD:
        this.#addSnapshot(decodeSnapshot(data));
        return;
      case CRC_RECORD:
        return;
      default:
        throw new WalError("WAL_DAMAGED", `${path} is damaged at offset ${offset}: there is no record type ${type}`);
    }
  }

  contents(dir: string, fromSnapshot: number): Omit<WalContents, "torn"> {
    assert(this.#metadata !== undefined, "a log that was read has metadata: readers refuse a segment without");
    const first = this.#firstIndex ?? 0;
    const start = this.#snapshots.filter(({ index }) => index <= fromSnapshot && index + 1 >= first).at(-1);
    if (start === undefined) {
      throw new WalError(
        "WAL_MISSING",
        `${dir} has no snapshot record to start from at or before index ${fromSnapshot} (its entries begin at ${first}): restore this member from a backup, or remove it from the cluster and add it anew`,
      );
    }
    const { hardState } = this;
    return {
      metadata: this.#metadata,
      hardState: { ...hardState, commit: Math.max(hardState.commit, start.index) as Index },
      start,
      entries: this.#entries.filter(({ index }) => index > start.index),
      snapshots: this.#snapshots,
    };
  }

  #addMetadata(metadata: WalMetadata, path: string): void {
    if (this.#metadata === undefined) this.#metadata = metadata;
    else if (!sameMetadata(this.#metadata, metadata)) {
      throw new WalError(
        "WAL_FOREIGN",
        `${path} belongs to ${describeMetadata(metadata)}, the segments before it to ${describeMetadata(this.#metadata)}: a log must come from one member`,
      );
    }
  }

  /** A later entry replaces the one at its index and all after it (Raft figure 7). */
  #addEntry(entry: Entry, path: string, offset: number): void {
    const first = this.#firstIndex;
    if (first === undefined || entry.index < first) {
      this.#entries = [entry];
      this.#firstIndex = entry.index;
      return;
    }
    const position = entry.index - first;
    if (position > this.#entries.length) {
      throw new WalError(
        "WAL_DAMAGED",
        `${path} is damaged at offset ${offset}: entry ${entry.index} follows entry ${this.lastIndex}`,
      );
    }
    this.#entries.length = position;
    this.#entries.push(entry);
  }

  /** A snapshot the log does not lead up to was installed from the leader: it replaced the log. */
  #addSnapshot(snapshot: SnapshotMetadata): void {
    this.#snapshots.push(snapshot);
    // The record at the head of every log; a snapshot of nothing replaces nothing.
    if (snapshot.index === 0) return;
    // Before any entry it may be one of which the entries went with a released segment: it says nothing of where the next begin.
    if (this.#firstIndex === undefined || snapshot.index < this.#firstIndex) return;
    if (this.#entries[snapshot.index - this.#firstIndex]?.term === snapshot.term) return;
    this.#entries = [];
    this.#firstIndex = snapshot.index + 1;
  }
}

export function sameMetadata(a: WalMetadata, b: WalMetadata): boolean {
  return a.nodeId === b.nodeId && a.clusterId === b.clusterId;
}

export function describeMetadata({ nodeId, clusterId }: WalMetadata): string {
  return `member ${nodeId.toString(16)} of cluster ${clusterId.toString(16)}`;
}
