import { join } from "node:path";
import { assert } from "../../seams/assert.ts";
import type { Disk, File } from "../../seams/disk.ts";
import type { Entry, HardState, SnapshotMetadata } from "../raft/types.ts";
import { WalError } from "./error.ts";
import { RecordWriter } from "./record.ts";
import { formatSegmentName, type SegmentName } from "./segment-name.ts";
import type { Wal, WalMetadata } from "./types.ts";

export interface WalShape {
  readonly segmentBytes: number;
  readonly allocateStepBytes: number;
}

/** Where a log that was created or read ends. */
export interface WalEnd {
  readonly segments: readonly SegmentName[];
  /** The last segment; the log closes it. */
  readonly file: File;
  readonly offset: number;
  readonly allocated: number;
  readonly crc: number;
  readonly lastIndex: number;
  readonly hardState: HardState;
  readonly newestSnapshot: number;
}

/** Records of one segment that go to the disk by one write and one datasync. */
interface Batch {
  readonly writer: RecordWriter;
  /** Set when the batch begins a new segment: its first records are the segment's head. */
  readonly begins: SegmentName | undefined;
  /** The segment is full after this batch. */
  ends: boolean;
  /** Someone waits for it; a batch nobody waits for stays in memory. */
  wanted: boolean;
  readonly waiters: { resolve: () => void; reject: (cause: unknown) => void }[];
}

const BUFFER_BYTES = 64 * 1024;
/** A buffer that one huge batch made larger than this is not kept. */
const KEPT_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * The append side. Calls encode at once into the open batch, which fixes their order and their place in the checksum chain;
 * one loop writes batch after batch, so that everything that came in during a datasync shares the next one.
 */
export class SegmentedWal implements Wal {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #metadata: WalMetadata;
  readonly #shape: WalShape;
  readonly #segments: SegmentName[];

  // What has been encoded: ahead of the disk.
  #waiting: Batch[] = [];
  /** The segment that encoding has reached. */
  #encodedName: SegmentName;
  #encodedOffset: number;
  #crc: number;
  #lastIndex: number;
  #hardState: HardState;
  #newestSnapshot: number;
  #spare: RecordWriter | undefined;

  // What is on the disk: owned by the loop.
  #file: File;
  #offset: number;
  #allocated: number;
  #growing: Promise<void> | undefined;
  /** The next segment, made before it is needed. */
  #ahead: Promise<{ file: File; path: string }> | undefined;
  #aheadCount = 0;

  #loop: Promise<void> | undefined;
  #poison: { readonly cause: unknown } | undefined;
  #closing: Promise<void> | undefined;
  #releasing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, dir: string, metadata: WalMetadata, shape: WalShape, end: WalEnd) {
    this.#disk = disk;
    this.#dir = dir;
    this.#metadata = metadata;
    this.#shape = shape;
    this.#segments = [...end.segments];
    const last = this.#segments.at(-1);
    assert(last !== undefined, "a log has a segment");
    this.#encodedName = last;
    this.#encodedOffset = end.offset;
    this.#crc = end.crc;
    this.#lastIndex = end.lastIndex;
    this.#hardState = end.hardState;
    this.#newestSnapshot = end.newestSnapshot;
    this.#file = end.file;
    this.#offset = end.offset;
    this.#allocated = end.allocated;
  }

  save(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    options: { readonly sync: boolean },
  ): Promise<void> {
    return this.#append(options.sync, (writer) => {
      for (const entry of entries) {
        writer.entry(entry);
        this.#lastIndex = entry.index;
      }
      if (hardState !== undefined) {
        this.#hardState = hardState;
        writer.state(hardState);
      }
    });
  }

  saveSnapshot(snapshot: SnapshotMetadata): Promise<void> {
    return this.#append(true, (writer) => {
      writer.snapshot(snapshot);
      this.#lastIndex = Math.max(this.#lastIndex, snapshot.index);
      this.#newestSnapshot = Math.max(this.#newestSnapshot, snapshot.index);
    });
  }

  /** Never removes what the newest snapshot record does not cover: without it the rest could not be read. */
  release(index: number): Promise<void> {
    // One after another: segments removed side by side could leave a hole after a crash.
    const released = this.#releasing.then(() => this.#release(index));
    this.#releasing = released.catch(() => undefined);
    return released;
  }

  async #release(index: number): Promise<void> {
    if (this.#poison !== undefined) throw this.#poison.cause;
    if (this.#closing !== undefined) throw new WalError("WAL_CLOSED", "the log is closed");
    const upTo = Math.min(index, this.#newestSnapshot);
    // A segment holds nothing live past its successor's first index: what it has there was replaced later. One whose successor begins
    // right after the snapshot stays: the snapshot's own record may be its last.
    let free = 0;
    while ((this.#segments[free + 1]?.firstIndex ?? Number.POSITIVE_INFINITY) <= upTo) free++;
    const removed = this.#segments.splice(0, free);
    // Oldest first and each made durable: what a crash leaves has no hole.
    for (const name of removed) {
      await this.#disk.remove(join(this.#dir, formatSegmentName(name)));
      await this.#disk.syncDir(this.#dir);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #append(sync: boolean, encode: (writer: RecordWriter) => void): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poison.cause);
    if (this.#closing !== undefined) return Promise.reject(new WalError("WAL_CLOSED", "the log is closed"));
    const batch = this.#waiting.at(-1) ?? this.#openBatch(undefined);
    const before = batch.writer.length;
    encode(batch.writer);
    this.#crc = batch.writer.crc;
    this.#encodedOffset += batch.writer.length - before;
    const done = sync
      ? new Promise<void>((resolve, reject) => {
          batch.wanted = true;
          batch.waiters.push({ resolve, reject });
        })
      : Promise.resolve();
    if (this.#encodedOffset >= this.#shape.segmentBytes) this.#cut(batch);
    if (this.#waiting.some(({ wanted }) => wanted)) this.#wake();
    return done;
  }

  /** Ends the segment here: the place is fixed when encoding, because the next segment's head is part of the checksum chain. */
  #cut(batch: Batch): void {
    batch.ends = true;
    batch.wanted = true;
    this.#encodedName = { sequence: this.#encodedName.sequence + 1, firstIndex: this.#lastIndex + 1 };
    const { writer } = this.#openBatch(this.#encodedName);
    writer.checksum();
    writer.metadata(this.#metadata);
    writer.state(this.#hardState);
    this.#crc = writer.crc;
    this.#encodedOffset = writer.length;
  }

  #openBatch(begins: SegmentName | undefined): Batch {
    const writer = this.#spare ?? new RecordWriter(this.#crc, BUFFER_BYTES);
    this.#spare = undefined;
    writer.restart(this.#crc);
    // A new segment is made at once: the old one has no room left, and a reader expects no gap.
    const batch: Batch = { writer, begins, ends: false, wanted: begins !== undefined, waiters: [] };
    this.#waiting.push(batch);
    return batch;
  }

  #wake(): void {
    this.#loop ??= this.#run();
  }

  async #run(): Promise<void> {
    // Whatever is saved in the same turn joins the first write.
    await Promise.resolve();
    while (this.#poison === undefined && this.#waiting.some(({ wanted }) => wanted)) {
      const batches = this.#waiting;
      this.#waiting = [];
      for (const [i, batch] of batches.entries()) {
        try {
          await this.#write(batch);
        } catch (cause) {
          this.#fail(cause, [...batches.slice(i), ...this.#waiting]);
          break;
        }
        for (const { resolve } of batch.waiters) resolve();
        if (batch.writer.capacity <= KEPT_BUFFER_BYTES) this.#spare = batch.writer;
      }
      if (this.#poison === undefined) this.#prepare();
    }
    // In the same turn as the last look at what waits: a later turn would lose the wake-up of who came in between.
    this.#loop = undefined;
  }

  #fail(cause: unknown, batches: readonly Batch[]): void {
    this.#poison = { cause };
    this.#waiting = [];
    for (const batch of batches) for (const { reject } of batch.waiters) reject(cause);
  }

  async #write(batch: Batch): Promise<void> {
    const bytes = batch.writer.bytes();
    if (batch.begins !== undefined) {
      await this.#beginSegment(batch.begins, bytes);
    } else {
      if (this.#offset + bytes.length > this.#allocated) await this.#grown();
      await this.#file.writeAt(bytes, this.#offset);
      this.#offset += bytes.length;
      if (!batch.ends) await this.#file.datasync();
    }
    if (batch.ends) {
      await this.#grown();
      await this.#file.truncate(this.#offset);
      await this.#file.datasync();
    }
  }

  /** As etcd: written and synced under a temporary name, then renamed, so that a segment with its name always has its head. */
  async #beginSegment(name: SegmentName, bytes: Uint8Array): Promise<void> {
    this.#ahead ??= this.#makeAhead();
    const { file, path } = await this.#ahead;
    this.#ahead = undefined;
    const old = this.#file;
    this.#file = file;
    this.#allocated = this.#shape.allocateStepBytes;
    await old.close();
    await file.writeAt(bytes, 0);
    this.#offset = bytes.length;
    await file.datasync();
    await this.#disk.rename(path, join(this.#dir, formatSegmentName(name)));
    await this.#disk.syncDir(this.#dir);
    this.#segments.push(name);
  }

  /** Space that will be needed soon, made while nobody waits. A failure is kept for the write that needs the space. */
  #prepare(): void {
    const { segmentBytes, allocateStepBytes } = this.#shape;
    const left = this.#allocated - this.#offset;
    if (this.#growing === undefined && left < allocateStepBytes / 2 && this.#allocated < segmentBytes) {
      const to = Math.min(segmentBytes, this.#allocated + allocateStepBytes);
      this.#growing = this.#file.allocate(to).then(() => {
        this.#allocated = to;
        this.#growing = undefined;
      });
      this.#growing.catch(() => undefined);
    }
    if (this.#ahead === undefined && this.#offset >= segmentBytes / 2) {
      this.#ahead = this.#makeAhead();
      this.#ahead.catch(() => undefined);
    }
  }

  async #grown(): Promise<void> {
    await this.#growing;
  }

  async #makeAhead(): Promise<{ file: File; path: string }> {
    // Two names in turn, so that the one being renamed is never the one being made (etcd file_pipeline.go).
    const path = join(this.#dir, `${this.#aheadCount++ % 2}.tmp`);
    await this.#disk.remove(path);
    const file = await this.#disk.open(path, { create: true });
    try {
      await file.allocate(this.#shape.allocateStepBytes);
      return { file, path };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const poisonedBefore = this.#poison !== undefined;
    const last = this.#waiting.at(-1);
    if (last !== undefined) {
      last.wanted = true;
      this.#wake();
    }
    await this.#loop;
    const settled = await Promise.allSettled([this.#growing, this.#ahead]);
    const ahead = settled[1].status === "fulfilled" ? settled[1].value : undefined;
    if (ahead !== undefined) {
      await ahead.file.close();
      if (this.#poison === undefined) await this.#disk.remove(ahead.path);
    }
    await this.#file.close();
    // Those who wait were told; what nobody waited for must not vanish in silence either.
    if (!poisonedBefore && this.#poison !== undefined) throw this.#poison.cause;
  }
}
