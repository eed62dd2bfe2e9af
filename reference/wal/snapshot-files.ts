import { crc32c } from "@node-rs/crc32";
import { dirname, join } from "node:path";
import * as raftpb from "../../api/etcd/gen/raft.ts";
import type { Disk, File } from "../../seams/disk.ts";
import type { Index, SnapshotMetadata, Term } from "../raft/types.ts";
import { WalError } from "./error.ts";
import { decodeConfState, encodeConfState } from "./record.ts";

/**
 * Snapshots of the state machine, at `<data-dir>/member/snap`. One file each, named `%016x-%016x.snap` by term and index, as etcd's:
 *
 *     "SEATSNAP" | version u32 | metadata length u32 | metadata (raftpb.SnapshotMetadata) | CRC-32C of all before u32
 *     content, opaque
 *     content length u64 | CRC-32C of the content u32 | "ENDS"
 *
 * Numbers are little-endian. A file gets its name only when it is whole and durable, so one that does not check out has changed since.
 */
export class SnapshotFiles {
  readonly #disk: Disk;
  readonly #dir: string;

  constructor(disk: Disk, dir: string) {
    this.#disk = disk;
    this.#dir = dir;
  }

  /** Writes a stream to a durable file; resolves when it would survive a crash. A stream that fails leaves nothing. */
  async receive(metadata: SnapshotMetadata, stream: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#disk.mkdir(this.#dir);
    const name = formatName(metadata);
    const making = join(this.#dir, `${name}.tmp`);
    await this.#disk.remove(making);
    const file = await this.#disk.open(making, { create: true });
    try {
      await write(file, metadata, stream);
      await file.datasync();
    } catch (error) {
      await file.close();
      await this.#disk.remove(making);
      throw error;
    }
    await file.close();
    await this.#disk.rename(making, join(this.#dir, name));
    await this.#disk.syncDir(this.#dir);
    // The directory itself may be new.
    await this.#disk.syncDir(dirname(this.#dir));
  }

  /** Metadata of the newest snapshot; undefined if there is none. Damage in its head is refused. */
  async newest(): Promise<SnapshotMetadata | undefined> {
    const name = (await this.#names()).at(-1);
    if (name === undefined) return undefined;
    const file = await this.#disk.open(join(this.#dir, name));
    try {
      return (await readHead(file, join(this.#dir, name))).metadata;
    } finally {
      await file.close();
    }
  }

  /** The content of one snapshot. Throws at its end, at the latest, if it is damaged: what was yielded must not be kept then. */
  async *read(metadata: Pick<SnapshotMetadata, "index" | "term">): AsyncIterable<Uint8Array> {
    const path = join(this.#dir, formatName(metadata));
    const file = await this.#disk.open(path);
    try {
      const { bytes } = await readHead(file, path);
      const end = (await file.size()) - TRAILER_BYTES;
      const trailer = Buffer.alloc(TRAILER_BYTES);
      if (
        end < bytes ||
        (await file.readAt(trailer, end)) !== TRAILER_BYTES ||
        trailer.toString("latin1", 12) !== END_MARK ||
        trailer.readBigUInt64LE(0) !== BigInt(end - bytes)
      ) {
        throw damaged(path, "its end is missing");
      }
      let crc = 0;
      for (let at = bytes; at < end;) {
        const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - at));
        if ((await file.readAt(chunk, at)) !== chunk.length) throw damaged(path, "it ends early");
        crc = crc32c(chunk, crc);
        at += chunk.length;
        yield chunk;
      }
      if (crc !== trailer.readUInt32LE(8)) throw damaged(path, "its checksum does not match its content");
    } finally {
      await file.close();
    }
  }

  /** Removes all but the newest `keep`, and what a crash left half made. */
  async prune(keep: number): Promise<void> {
    const names = await this.#names();
    for (const name of names.slice(0, Math.max(0, names.length - keep))) await this.#disk.remove(join(this.#dir, name));
    for (const name of await this.#disk.list(this.#dir))
      if (name.endsWith(".snap.tmp")) await this.#disk.remove(join(this.#dir, name));
    if (names.length > keep) await this.#disk.syncDir(this.#dir);
  }

  /** Oldest first: by index, then term. */
  async #names(): Promise<string[]> {
    const names = (await this.#disk.list(this.#dir)).filter((name) => /^[0-9a-f]{16}-[0-9a-f]{16}\.snap$/.test(name));
    return names.sort((a, b) => compare(a.slice(17), b.slice(17)) || compare(a, b));
  }
}

const MAGIC = "SEATSNAP";
const VERSION = 1;
const FIXED_HEAD_BYTES = 16;
const END_MARK = "ENDS";
const TRAILER_BYTES = 16;
const CHUNK_BYTES = 256 * 1024;
/** A membership is a few ids; more than this is no length that was ever written. */
const METADATA_MAX_BYTES = 64 * 1024;

async function write(file: File, metadata: SnapshotMetadata, stream: AsyncIterable<Uint8Array>): Promise<void> {
  const encoded = raftpb.SnapshotMetadata.encode({
    index: BigInt(metadata.index),
    term: BigInt(metadata.term),
    confState: raftpb.ConfState.decode(encodeConfState(metadata.confState)),
  }).finish();
  const head = Buffer.alloc(FIXED_HEAD_BYTES + encoded.length + 4);
  head.write(MAGIC, "latin1");
  head.writeUInt32LE(VERSION, 8);
  head.writeUInt32LE(encoded.length, 12);
  head.set(encoded, FIXED_HEAD_BYTES);
  head.writeUInt32LE(crc32c(head.subarray(0, head.length - 4)), head.length - 4);
  await file.writeAt(head, 0);
  let at = head.length;
  let crc = 0;
  for await (const chunk of stream) {
    await file.writeAt(chunk, at);
    crc = crc32c(chunk, crc);
    at += chunk.length;
  }
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeBigUInt64LE(BigInt(at - head.length), 0);
  trailer.writeUInt32LE(crc, 8);
  trailer.write(END_MARK, 12, "latin1");
  await file.writeAt(trailer, at);
}

async function readHead(file: File, path: string): Promise<{ metadata: SnapshotMetadata; bytes: number }> {
  const fixed = Buffer.alloc(FIXED_HEAD_BYTES);
  if ((await file.readAt(fixed, 0)) !== FIXED_HEAD_BYTES || fixed.toString("latin1", 0, 8) !== MAGIC)
    throw damaged(path, "it does not begin like a snapshot");
  const version = fixed.readUInt32LE(8);
  if (version !== VERSION)
    throw new WalError("WAL_DAMAGED", `${path} has format version ${version}, this program reads ${VERSION}`);
  const length = fixed.readUInt32LE(12);
  const rest = Buffer.alloc(Math.min(length, METADATA_MAX_BYTES) + 4);
  const whole = (await file.readAt(rest, FIXED_HEAD_BYTES)) === length + 4;
  if (!whole || crc32c(rest.subarray(0, length), crc32c(fixed)) !== rest.readUInt32LE(length))
    throw damaged(path, "the checksum of its head does not match");
  const metadata = raftpb.SnapshotMetadata.decode(rest.subarray(0, length));
  return {
    metadata: {
      index: Number(metadata.index) as Index,
      term: Number(metadata.term) as Term,
      confState: decodeConfState(metadata.confState),
    },
    bytes: FIXED_HEAD_BYTES + rest.length,
  };
}

function damaged(path: string, what: string): WalError {
  return new WalError(
    "WAL_DAMAGED",
    `${path} is damaged: ${what}; restore this member from a backup, or remove it from the cluster and add it anew`,
  );
}

function formatName({ index, term }: Pick<SnapshotMetadata, "index" | "term">): string {
  return `${term.toString(16).padStart(16, "0")}-${index.toString(16).padStart(16, "0")}.snap`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
