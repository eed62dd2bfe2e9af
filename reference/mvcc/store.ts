import { assert } from "../../seams/assert.ts";
import type { Backend, BackendWrite } from "./backend.ts";
import { hashKv } from "./hash.ts";
import { KeyIndex, type KeyMeta } from "./key-index.ts";
import { keyText } from "./key-text.ts";
import { decodeKeyValue, keyOfRecord } from "./key-value.ts";
import { Leases } from "./leases.ts";
import { spanOf, type Span } from "./range-end.ts";
import { isTombstone, mainOf, readUint64, revisionKey, subOf, uint64Bytes } from "./revision.ts";
import { WriteTxn } from "./txn.ts";
import type { KeyRange, KeyValue, Revision, RevisionEvents } from "./types.ts";
import { DEFAULT_TAIL, WatchLog, type WatchLogBounds } from "./watch-log.ts";

export interface RangeOptions {
  /** 0 or below: now. */
  readonly revision?: number;
  /** 0: all. */
  readonly limit?: number;
  readonly countOnly?: boolean;
}

export interface RangeResult {
  readonly kvs: KeyValue[];
  /** All that match, whatever the limit. */
  readonly count: number;
  /** The store's revision at the time of the read. */
  readonly revision: Revision;
}

export type RangeFailure = "compacted" | "future";

export const META_SCHEDULED_COMPACTION = Buffer.from("scheduledCompactRev");
export const META_FINISHED_COMPACTION = Buffer.from("finishedCompactRev");

/**
 * The multi-version store: every change under its own revision in the backend's `key` bucket, an index of revisions in memory.
 * It writes nothing itself: changes go into the batch that its caller commits, and are readable here before that.
 */
export class MvccStore {
  readonly backend: Backend;
  readonly leases: Leases;
  readonly index = new KeyIndex();
  readonly log: WatchLog;
  #current = 1;
  /** -1: never compacted, as etcd reports it. */
  #compacted = -1;
  /** Where the removal of compacted records goes on; undefined: all are removed. */
  #compactionFrom: Uint8Array | undefined;
  #open: WriteTxn | undefined;

  /** Loads the index, the leases and an unfinished compaction from a backend. */
  constructor(backend: Backend, tail: WatchLogBounds = DEFAULT_TAIL) {
    this.backend = backend;
    this.leases = Leases.load(backend);
    this.log = new WatchLog(tail);
    for (const [key, record] of backend.range("key", new Uint8Array(0), undefined)) this.#restore(key, record);
    const scheduled = backend.get("meta", META_SCHEDULED_COMPACTION);
    if (scheduled === undefined) return;
    this.#compacted = readUint64(scheduled, 0);
    // The newest changes may have been removed by the compaction.
    this.#current = Math.max(this.#current, this.#compacted);
    const finished = readUint64(backend.get("meta", META_FINISHED_COMPACTION) ?? uint64Bytes(0), 0);
    if (finished < this.#compacted) this.#compactionFrom = revisionKey(finished, 0);
  }

  get currentRevision(): Revision {
    return this.#current as Revision;
  }

  get compactRevision(): Revision {
    return this.#compacted as Revision;
  }

  /** Begins the next revision. One at a time; it must be ended. */
  write(batch: BackendWrite[]): WriteTxn {
    assert(this.#open === undefined, "one write transaction at a time");
    this.#open = new WriteTxn(this, batch);
    return this.#open;
  }

  /** Called by the transaction: its changes, if any, are the new current revision. */
  ended(events: RevisionEvents | undefined): void {
    this.#open = undefined;
    if (events === undefined) return;
    this.#current = events.revision;
    this.log.append(events);
  }

  /** The caller has committed every batch: memory for reading uncommitted changes may go. */
  committed(): void {
    this.log.trim();
  }

  range(span: Span, options: RangeOptions): RangeResult | RangeFailure {
    const current = this.#open?.readRevision ?? this.#current;
    let at = options.revision ?? 0;
    if (at > current) return "future";
    if (at <= 0) at = current;
    else if (at < this.#compacted) return "compacted";
    const revision = current as Revision;
    if (options.countOnly === true) return { kvs: [], count: this.index.count(span, at), revision };
    const limit = options.limit ?? 0;
    const found: KeyMeta[] = [];
    let count = 0;
    this.index.visit(span, at, (_, meta) => {
      count++;
      if (limit <= 0 || found.length < limit) found.push(meta);
      return true;
    });
    return { kvs: found.map((meta) => this.read(meta)), count, revision };
  }

  /** The stored value of a change that the index knows. */
  read(meta: KeyMeta): KeyValue {
    const recent = this.#open?.change(meta.main, meta.sub) ?? this.log.recent(meta.main, meta.sub);
    if (recent !== undefined) return recent;
    const record = this.backend.get("key", revisionKey(meta.main, meta.sub));
    assert(record !== undefined, `the backend holds what the index knows, revision ${meta.main}.${meta.sub}`);
    return decodeKeyValue(record);
  }

  keyAt(key: Uint8Array, revision: number): KeyValue | undefined {
    const at = revision <= 0 ? this.#current : revision;
    if (at < this.#compacted) return undefined;
    const meta = this.index.get(keyText(key), at);
    return meta && this.read(meta);
  }

  /** `from` may be the compact revision: compaction keeps what happened at it. */
  eventsBetween(
    range: KeyRange,
    from: number,
    to: number,
    limit: number,
  ): { revisions: readonly RevisionEvents[]; next: Revision } {
    assert(from >= this.#compacted, "events below the compact revision are gone");
    return this.log.between(this.backend, spanOf(range), from, Math.min(to, this.#current), limit);
  }

  /** Revisions out of reach are for the caller to refuse. */
  hashKv(revision: number): { hash: number; compactRevision: Revision; hashRevision: Revision } {
    const at = revision <= 0 ? this.#current : revision;
    return {
      hash: hashKv(this.backend, this.index, this.#compacted, at),
      compactRevision: this.#compacted as Revision,
      hashRevision: at as Revision,
    };
  }

  /** Compacts logically: reads below `revision` fail from now on. The records go later, in `compactStep`. */
  compact(revision: number, batch: BackendWrite[]): RangeFailure | undefined {
    if (revision <= this.#compacted) return "compacted";
    if (revision > this.#current) return "future";
    // Tombstones at the old compact revision were kept by it; this one removes them, so the walk goes back to there at least.
    const restart = revisionKey(Math.max(this.#compacted, 0), 0);
    if (this.#compactionFrom === undefined || Buffer.compare(restart, this.#compactionFrom) < 0)
      this.#compactionFrom = restart;
    this.#compacted = revision;
    batch.push({ op: "put", bucket: "meta", key: META_SCHEDULED_COMPACTION, value: uint64Bytes(revision) });
    return undefined;
  }

  get compacting(): boolean {
    return this.#compactionFrom !== undefined;
  }

  /**
   * Removes what the compaction left, looking at `limit` records; all earlier batches must be committed.
   * Only keys changed since the last compaction can have something to remove, so only those records are walked.
   * Returns whether it is done.
   */
  compactStep(batch: BackendWrite[], limit: number): boolean {
    if (this.#compactionFrom === undefined) return true;
    const end = revisionKey(this.#compacted + 1, 0);
    let seen = 0;
    let last: Uint8Array | undefined;
    const drop = (main: number, sub: number, tombstone: boolean): void => {
      batch.push({ op: "delete", bucket: "key", key: revisionKey(main, sub, tombstone) });
    };
    for (const [key, record] of this.backend.range("key", this.#compactionFrom, end, { limit })) {
      seen++;
      last = key;
      this.index.compact(keyText(keyOfRecord(record)), this.#compacted, drop);
    }
    if (last !== undefined && seen >= limit) {
      this.#compactionFrom = revisionKey(mainOf(last), subOf(last) + 1);
      return false;
    }
    this.#compactionFrom = undefined;
    batch.push({ op: "put", bucket: "meta", key: META_FINISHED_COMPACTION, value: uint64Bytes(this.#compacted) });
    return true;
  }

  #restore(key: Uint8Array, record: Uint8Array): void {
    const main = mainOf(key);
    this.#current = main;
    if (isTombstone(key)) {
      const text = keyText(keyOfRecord(record));
      this.index.restore(text, main, subOf(key), "tombstone");
      this.leases.attach(text, 0n);
      return;
    }
    const kv = decodeKeyValue(record);
    const text = keyText(kv.key);
    this.index.restore(text, main, subOf(key), { created: kv.createRevision, version: kv.version });
    this.leases.attach(text, kv.lease);
  }
}
