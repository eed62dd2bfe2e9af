import type { Entry, HardState, SnapshotMetadata } from "../raft/types.ts";

/** Written at the head of each segment; a log of another member or cluster is refused. */
export interface WalMetadata {
  readonly nodeId: bigint;
  readonly clusterId: bigint;
}

/** What a log says when it is opened: everything after the newest snapshot record at or before `fromSnapshot`. */
export interface WalContents {
  readonly metadata: WalMetadata;
  /** `commit` is at least `start.index`. Zeroes in a log that holds none. */
  readonly hardState: HardState;
  /** The snapshot record that `entries` follow: the newest at or before `fromSnapshot` (index 0 in a log from its beginning). */
  readonly start: SnapshotMetadata;
  /** From `start.index + 1` on without a gap; entries that later ones replaced are gone. */
  readonly entries: readonly Entry[];
  /** Every snapshot record found, oldest first. */
  readonly snapshots: readonly SnapshotMetadata[];
  /** Set when the tail was torn: where it was cut. */
  readonly torn?: { readonly segment: string; readonly offset: number };
}

/**
 * Segmented log in etcd's on-disk format under `<data-dir>/member/wal`.
 * Calls may overlap: they become durable in the order in which they were made, several by one fdatasync (group commit).
 * After any rejected write the log is poisoned: every later call rejects with the same cause, and the member stops.
 */
export interface Wal {
  /** Resolves when `entries` and `hardState` are durable. `sync: false` only buffers behind what is waiting (a moved commit index). */
  save(hardState: HardState | undefined, entries: readonly Entry[], options: { readonly sync: boolean }): Promise<void>;
  /** Records that a snapshot at this position is durable elsewhere. */
  saveSnapshot(snapshot: SnapshotMetadata): Promise<void>;
  /** Removes segments that hold only entries at or before `index`. */
  release(index: number): Promise<void>;
  close(): Promise<void>;
}
