import { mkdir, open as openFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { open as openLmdb, type RootDatabase } from "lmdb";
import { assert } from "../../seams/assert.ts";
import type { Clock } from "../../seams/clock.ts";
import type { Backend, BackendFactory, BackendWrite, Bucket } from "./backend.ts";
import { byText } from "./btree.ts";
import { keyText } from "./key-text.ts";
import { BUCKETS, readSnapshot, writeSnapshot } from "./snapshot-stream.ts";

type Pair = readonly [Uint8Array, Uint8Array];

const FILE = "db.mdb";
const RESTORING = "restoring.mdb";
/** Address space, not disk: enough that the map rarely has to move. LMDB grows it by itself. */
const MAP_BYTES = 1024 * 1024 * 1024;
const RESTORE_BATCH = 10_000;

/** Commits that gather longer than this, or are more, go to the disk whoever waits: bounds memory and the length of a replay. */
const MAX_GATHERED_WRITES = 10_000;
const MAX_GATHERED_BYTES = 8 * 1024 * 1024;

/** How long commits gather before they share one transaction. Without it each transaction begins as soon as the last one ended. */
export interface Gathering {
  readonly clock: Pick<Clock, "sleep">;
  readonly forMs: number;
}

/**
 * A backend in one LMDB file under `directory`, all buckets in one tree (an empty one takes four pages).
 * A commit goes into memory at once and to LMDB in the background; `flushed` resolves when the transaction that holds it is synced.
 * docs/decisions/0002-backend-durability.md says why.
 */
export function lmdbBackend(directory: string, gathering?: Gathering): BackendFactory {
  const path = join(directory, FILE);
  return {
    async open() {
      await mkdir(directory, { recursive: true });
      await removeDatabase(join(directory, RESTORING));
      const root = openRoot(path);
      await syncDirectory(directory);
      return new LmdbBackend(root, gathering);
    },
    async restore(stream) {
      await mkdir(directory, { recursive: true });
      const restoring = join(directory, RESTORING);
      await removeDatabase(restoring);
      await fill(restoring, stream);
      // The old lock file belongs to the old content.
      await rm(`${path}-lock`, { force: true });
      await rename(restoring, path);
      await rm(`${restoring}-lock`, { force: true });
      await syncDirectory(directory);
    },
  };
}

type Root = RootDatabase<Uint8Array, Uint8Array>;

function openRoot(path: string): Root {
  return openLmdb<Uint8Array, Uint8Array>(path, {
    noSubdir: true,
    keyEncoding: "binary",
    encoding: "binary",
    mapSize: MAP_BYTES,
    // With it, a commit would be reported before it is on the disk.
    overlappingSync: false,
  });
}

async function fill(path: string, stream: AsyncIterable<Uint8Array>): Promise<void> {
  const root = openRoot(path);
  try {
    let batch: StoredWrite[] = [];
    for await (const write of readSnapshot(stream)) {
      batch.push(storedWrite(write));
      if (batch.length >= RESTORE_BATCH) {
        await writeBatch(root, batch);
        batch = [];
      }
    }
    await writeBatch(root, batch);
  } finally {
    await root.close();
  }
}

async function removeDatabase(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(`${path}-lock`, { force: true });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await openFile(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** One atomic LMDB transaction on its writer thread; resolves when it is synced. */
async function writeBatch(root: Root, writes: Iterable<StoredWrite>): Promise<void> {
  await root.batch(() => {
    for (const { key, value } of writes) {
      // What they promise is part of what the batch promises.
      if (value === undefined) void root.remove(key);
      else void root.put(key, value);
    }
  });
}

/** A write as LMDB gets it: the key with its bucket's prefix; no value is a deletion. */
interface StoredWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

function storedWrite(write: BackendWrite): StoredWrite {
  return { key: storedKey(write.bucket, write.key), value: write.op === "put" ? write.value : undefined };
}

/** Writes that LMDB does not hold durably yet, the newest of each key, by the text of the stored key. */
type Overlay = Map<string, StoredWrite>;

interface Flush {
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class LmdbBackend implements Backend {
  readonly #root: Root;
  readonly #gathering: Gathering | undefined;
  /** Aborted when commits have gathered enough. */
  #hurry = new AbortController();
  /** Committed since the transaction under way began. */
  #pending: Overlay = new Map();
  #pendingBytes = 0;
  #next: Flush = newFlush();
  /** In the transaction under way. */
  #flushing: Overlay | undefined;
  /** When all committed so far is durable. */
  #last: Promise<void> = Promise.resolve();
  /** The background work; it never rejects. */
  #flushes: Promise<void> = Promise.resolve();
  #running = false;
  #failed = false;
  #closed = false;
  #size: { allocated: number; inUse: number } | undefined;

  constructor(root: Root, gathering: Gathering | undefined) {
    this.#root = root;
    this.#gathering = gathering;
  }

  commit(batch: readonly BackendWrite[]): { readonly flushed: Promise<void> } {
    assert(!this.#closed, "a closed backend takes no commits");
    for (const write of batch) {
      const stored = storedWrite(write);
      this.#pending.set(keyText(stored.key), stored);
      this.#pendingBytes += write.key.length + (write.op === "put" ? write.value.length : 0);
    }
    // A commit of nothing waits for those before it.
    if (batch.length > 0) this.#last = this.#next.done;
    const flushed = this.#last;
    if (this.#full) this.#hurry.abort();
    if (!this.#running && !this.#failed) this.#flushes = this.#flush();
    return { flushed };
  }

  get #full(): boolean {
    return this.#pending.size >= MAX_GATHERED_WRITES || this.#pendingBytes >= MAX_GATHERED_BYTES;
  }

  /** Lets commits gather: a transaction of its own for each would fight with the log for the disk. */
  async #gather(): Promise<void> {
    if (this.#gathering === undefined || this.#full || this.#closed) return;
    this.#hurry = new AbortController();
    // Being hurried is no failure.
    await this.#gathering.clock.sleep(this.#gathering.forMs, this.#hurry.signal).catch(() => undefined);
  }

  /** Writes all that is pending as one transaction, then what came meanwhile: commits wait for the disk together. */
  async #flush(): Promise<void> {
    this.#running = true;
    while (this.#pending.size > 0) {
      await this.#gather();
      const flush = this.#next;
      const writes = this.#pending;
      this.#flushing = writes;
      this.#pending = new Map();
      this.#pendingBytes = 0;
      this.#next = newFlush();
      try {
        await writeBatch(this.#root, writes.values());
      } catch (error) {
        // What is on the disk is unknown: nothing is acknowledged any more, and the member stops.
        this.#failed = true;
        flush.reject(error);
        this.#next.reject(error);
        // Perhaps nobody waits for that one yet; whoever commits from now on will be told.
        this.#next.done.catch(() => undefined);
        return;
      }
      // Reads must see the transaction before the overlay lets go of it.
      this.#root.resetReadTxn();
      this.#flushing = undefined;
      this.#size = undefined;
      flush.resolve();
    }
    this.#running = false;
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    const stored = storedKey(bucket, key);
    if (this.#pending.size > 0 || this.#flushing !== undefined) {
      const name = keyText(stored);
      const write = this.#pending.get(name) ?? this.#flushing?.get(name);
      if (write !== undefined) return write.value;
    }
    return this.#root.getBinary(stored);
  }

  *range(
    bucket: Bucket,
    start: Uint8Array,
    end: Uint8Array | undefined,
    options: { limit?: number; reverse?: boolean } = {},
  ): Iterable<Pair> {
    const reverse = options.reverse === true;
    const low = storedKey(bucket, start);
    const high = end === undefined ? Uint8Array.of(PREFIX[bucket] + 1) : storedKey(bucket, end);
    const overlay = this.#overlayOf(low, high);
    if (reverse) overlay.reverse();
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    if (left <= 0 || Buffer.compare(low, high) >= 0) return;
    const stored = this.#root.getRange(
      reverse
        ? { start: high, end: low, reverse, exclusiveStart: true, inclusiveEnd: true }
        : { start: low, end: high },
    );
    for (const pair of merged(stored, overlay, reverse)) {
      yield pair;
      if (--left <= 0) return;
    }
  }

  /** Unflushed writes of a range of stored keys, in key order. */
  #overlayOf(low: Uint8Array, high: Uint8Array): OverlayEntry[] {
    const [from, to] = [keyText(low), keyText(high)];
    const newest: Overlay = new Map();
    for (const layer of [this.#flushing, this.#pending]) {
      for (const [name, write] of layer ?? []) if (name >= from && name < to) newest.set(name, write);
    }
    return [...newest].sort((a, b) => byText(a[0], b[0]));
  }

  snapshot(): AsyncIterable<Uint8Array> {
    // Both taken now: whatever happens while the stream is read, it is the state of this moment.
    this.#root.resetReadTxn();
    const transaction = this.#root.useReadTransaction();
    const root = this.#root;
    const spaces = BUCKETS.map((bucket) => {
      const [start, end] = [Uint8Array.of(PREFIX[bucket]), Uint8Array.of(PREFIX[bucket] + 1)];
      return { bucket, start, end, overlay: this.#overlayOf(start, end) };
    });
    function* pairs(): Iterable<readonly [Bucket, Uint8Array, Uint8Array]> {
      try {
        for (const { bucket, start, end, overlay } of spaces) {
          for (const [key, value] of merged(root.getRange({ start, end, transaction }), overlay, false))
            yield [bucket, key, value];
        }
      } finally {
        transaction.done();
      }
    }
    return writeSnapshot(pairs());
  }

  sizeBytes(): { readonly allocated: number; readonly inUse: number } {
    this.#size ??= sizeOf(this.#root.getStats() as LmdbStats);
    const { allocated, inUse } = this.#size;
    return { allocated: allocated + this.#pendingBytes, inUse: inUse + this.#pendingBytes };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#hurry.abort();
    await this.#flushes;
    await this.#root.close();
  }
}

function newFlush(): Flush {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { done: promise, resolve, reject };
}

type OverlayEntry = readonly [name: string, write: StoredWrite];

/** What LMDB holds with what it does not hold yet laid over it; both in the same order. Keys come without their bucket's prefix. */
function* merged(
  stored: Iterable<{ key: Uint8Array; value: Uint8Array }>,
  overlay: readonly OverlayEntry[],
  reverse: boolean,
): Iterable<Pair> {
  let next = 0;
  for (const { key, value } of stored) {
    if (next < overlay.length) {
      const name = keyText(key);
      let hidden = false;
      for (
        let entry = overlay[next];
        entry !== undefined && (reverse ? entry[0] >= name : entry[0] <= name);
        entry = overlay[++next]
      ) {
        if (entry[0] === name) hidden = true;
        if (entry[1].value !== undefined) yield [entry[1].key.subarray(1), entry[1].value];
      }
      if (hidden) continue;
    }
    yield [key.subarray(1), value];
  }
  for (; next < overlay.length; next++) {
    const write = overlay[next]?.[1];
    if (write?.value !== undefined) yield [write.key.subarray(1), write.value];
  }
}

/** First byte of a stored key: printable, for whoever looks into the file, and never to be renumbered. */
const PREFIX: Readonly<Record<Bucket, number>> = {
  meta: 0x61,
  lease: 0x62,
  auth: 0x63,
  members: 0x64,
  alarm: 0x65,
  key: 0x66,
};

function storedKey(bucket: Bucket, key: Uint8Array): Uint8Array {
  const stored = Buffer.allocUnsafe(key.length + 1);
  stored[0] = PREFIX[bucket];
  stored.set(key, 1);
  return stored;
}

interface LmdbStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

const META_PAGES = 2;

function sizeOf(stats: LmdbStats): { allocated: number; inUse: number } {
  const used = META_PAGES + stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
  return { allocated: (stats.lastPageNumber + 1) * stats.pageSize, inUse: used * stats.pageSize };
}
