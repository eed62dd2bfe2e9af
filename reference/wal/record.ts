import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { crc32c } from "@node-rs/crc32";
import * as raftpb from "../../api/etcd/gen/raft.ts";
import * as walpb from "../../api/etcd/gen/wal.ts";
import type { ConfState, Entry, HardState, Index, NodeId, SnapshotMetadata, Term } from "../raft/types.ts";
import type { WalMetadata } from "./types.ts";

/** etcd's record types (server/storage/wal/wal.go). */
export const METADATA_RECORD = 1;
export const ENTRY_RECORD = 2;
export const STATE_RECORD = 3;
export const CRC_RECORD = 4;
export const SNAPSHOT_RECORD = 5;

/** The 8-byte little-endian length before each record: low 56 bits the size; if padded, the top byte is 0x80 + padding. */
export const FRAME_HEADER_BYTES = 8;

/** The longest varint of a checksum; a shorter one makes the record shrink after it is known. */
const CRC_VARINT_MAX_BYTES = 5;
const VARINT_MAX_BYTES = 10;
const NOTHING = new Uint8Array(0);

/**
 * Writes framed records one after another into a buffer that grows, chaining the checksum over their data
 * (CRC-32C rolling over every data byte since the log began). The bytes are etcd's own: fields in order of
 * number, zeroes written out. Hand-written because each entry of the store passes through here.
 */
export class RecordWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  #crc: number;

  constructor(crc: number, capacityBytes: number) {
    this.#crc = crc;
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get crc(): number {
    return this.#crc;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  /** What was written; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Empties the buffer and goes on with the chain at `crc`. */
  restart(crc: number): void {
    this.#length = 0;
    this.#crc = crc;
  }

  entry(entry: Entry): void {
    const data = entry.data;
    this.#reserve(data.length);
    const start = this.#openRecord(ENTRY_RECORD);
    // The entry's size decides how long its own length varint is, so it is computed, not patched.
    const size =
      2 +
      1 +
      varintBytes(entry.term) +
      1 +
      varintBytes(entry.index) +
      (data.length === 0 ? 0 : 1 + varintBytes(data.length) + data.length);
    const dataAt = this.#openData(size);
    this.#byte(0x08);
    this.#byte(entry.type === "confChange" ? 1 : 0);
    this.#byte(0x10);
    this.#varint(entry.term);
    this.#byte(0x18);
    this.#varint(entry.index);
    if (data.length !== 0) {
      this.#byte(0x22);
      this.#varint(data.length);
      this.#bytes.set(data, this.#length);
      this.#length += data.length;
    }
    this.#closeRecord(start, dataAt);
  }

  state(state: HardState): void {
    this.#data(STATE_RECORD, encodeHardState(state));
  }

  metadata(metadata: WalMetadata): void {
    this.#data(METADATA_RECORD, encodeMetadata(metadata));
  }

  snapshot(snapshot: SnapshotMetadata): void {
    this.#data(SNAPSHOT_RECORD, encodeSnapshot(snapshot));
  }

  /** Repeats the running checksum at the head of a segment, so that the segment can be read without those before it. */
  checksum(): void {
    this.#data(CRC_RECORD, NOTHING);
  }

  #data(type: number, data: Uint8Array): void {
    this.#reserve(data.length);
    const start = this.#openRecord(type);
    const dataAt = data.length === 0 ? this.#length + CRC_VARINT_MAX_BYTES : this.#openData(data.length);
    if (data.length === 0) this.#length = dataAt;
    this.#bytes.set(data, this.#length);
    this.#length += data.length;
    this.#closeRecord(start, dataAt);
  }

  #openRecord(type: number): number {
    const start = this.#length;
    this.#length += FRAME_HEADER_BYTES;
    this.#byte(0x08);
    this.#byte(type);
    this.#byte(0x10);
    return start;
  }

  /** Leaves room for the checksum, whose varint is written by `#closeRecord`. Returns where the data begins. */
  #openData(size: number): number {
    this.#length += CRC_VARINT_MAX_BYTES;
    this.#byte(0x1a);
    this.#varint(size);
    return this.#length;
  }

  #closeRecord(start: number, dataAt: number): void {
    const bytes = this.#bytes;
    if (this.#length > dataAt) this.#crc = crc32c(bytes.subarray(dataAt, this.#length), this.#crc);
    const crcAt = start + FRAME_HEADER_BYTES + 3;
    const reserved = crcAt + CRC_VARINT_MAX_BYTES;
    const crcBytes = varintBytes(this.#crc);
    if (crcBytes < CRC_VARINT_MAX_BYTES) bytes.copyWithin(crcAt + crcBytes, reserved, this.#length);
    const end = this.#length - (CRC_VARINT_MAX_BYTES - crcBytes);
    this.#length = crcAt;
    this.#varint(this.#crc);

    // Padded to 8 bytes so that the next length never spans two sectors (etcd encoder.go).
    const size = end - start - FRAME_HEADER_BYTES;
    const padding = (8 - (size % 8)) % 8;
    this.#view.setUint32(start, size, true);
    this.#view.setUint32(start + 4, padding === 0 ? 0 : ((0x80 | padding) << 24) >>> 0, true);
    bytes.fill(0, end, end + padding);
    this.#length = end + padding;
  }

  #byte(value: number): void {
    this.#bytes[this.#length++] = value;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x8000_0000) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(dataBytes: number): void {
    const needed = this.#length + FRAME_HEADER_BYTES + dataBytes + 6 * VARINT_MAX_BYTES;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.bytes());
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

export function encodeHardState(state: HardState): Uint8Array {
  return new BinaryWriter()
    .uint32(0x08)
    .uint64(BigInt(state.term))
    .uint32(0x10)
    .uint64(state.vote)
    .uint32(0x18)
    .uint64(BigInt(state.commit))
    .finish();
}

export function decodeHardState(data: Uint8Array): HardState {
  const state = raftpb.HardState.decode(data);
  const decoded = {
    term: safe(state.term) as Term,
    vote: state.vote as HardState["vote"],
    commit: safe(state.commit) as Index,
  };
  return canonical(decoded, encodeHardState(decoded), data);
}

export function decodeEntry(data: Uint8Array): Entry {
  const entry = decodePlainEntry(data) ?? decodeAnyEntry(data);
  // A hard state without a vote has the same shape.
  if (entry.term === 0 || entry.index === 0) throw new RangeError("an entry without term or index");
  return entry;
}

/** The one form that this program and etcd write, without detours: opening a log decodes each of its entries. */
function decodePlainEntry(data: Uint8Array): Entry | undefined {
  const type = data[1];
  if (data[0] !== 0x08 || (type !== 0 && type !== 1) || data[2] !== 0x10) return undefined;
  const term = decodeVarint(data, 3);
  if (term === undefined || data[term.end] !== 0x18) return undefined;
  const index = decodeVarint(data, term.end + 1);
  if (index === undefined) return undefined;
  let from = index.end;
  if (from !== data.length) {
    const length = data[from] === 0x22 ? decodeVarint(data, from + 1) : undefined;
    if (length === undefined || length.end + length.value !== data.length) return undefined;
    from = length.end;
  }
  // A view, since a log is mostly entries: a copy of each would make opening twice as slow, to free a segment's buffer sooner.
  return {
    type: type === 0 ? "normal" : "confChange",
    term: term.value as Term,
    index: index.value as Index,
    data: data.subarray(from),
  };
}

function decodeAnyEntry(data: Uint8Array): Entry {
  const entry = raftpb.Entry.decode(data);
  if (entry.type !== raftpb.EntryType.EntryNormal && entry.type !== raftpb.EntryType.EntryConfChange) {
    throw new RangeError(`entry type ${String(entry.type)}`);
  }
  return {
    type: entry.type === raftpb.EntryType.EntryNormal ? "normal" : "confChange",
    term: safe(entry.term) as Term,
    index: safe(entry.index) as Index,
    data: entry.data,
  };
}

/** An unsigned varint of at most 49 bits; undefined for a longer one, or where the bytes end. */
export function decodeVarint(
  bytes: Uint8Array,
  at: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  let unit = 1;
  for (let end = at; end < at + 7; unit *= 0x80) {
    const byte = bytes[end++];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) return { value, end };
  }
  return undefined;
}

/** Whether these bytes are a hard state's: three varints under their tags. Enough to know before the last one, the only one that counts. */
export function isHardState(data: Uint8Array): boolean {
  let at = 0;
  for (const tag of [0x08, 0x10, 0x18]) {
    if (data[at++] !== tag) return false;
    while ((data[at] ?? 0) >= 0x80) at++;
    at++;
  }
  return at === data.length;
}

/** etcdserverpb.Metadata {NodeID = 1, ClusterID = 2}. */
export function encodeMetadata(metadata: WalMetadata): Uint8Array {
  return new BinaryWriter().uint32(0x08).uint64(metadata.nodeId).uint32(0x10).uint64(metadata.clusterId).finish();
}

export function decodeMetadata(data: Uint8Array): WalMetadata {
  const reader = new BinaryReader(data);
  let nodeId = 0n;
  let clusterId = 0n;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 0x08) nodeId = BigInt(reader.uint64());
    else if (tag === 0x10) clusterId = BigInt(reader.uint64());
    else reader.skip(tag & 7);
  }
  return canonical({ nodeId, clusterId }, encodeMetadata({ nodeId, clusterId }), data);
}

/** raftpb.ConfState as etcd writes it: ids one by one (proto2 does not pack them), `auto_leave` always. */
export function encodeConfState(state: ConfState): Uint8Array {
  const writer = new BinaryWriter();
  for (const id of state.voters) writer.uint32(0x08).uint64(id);
  for (const id of state.learners) writer.uint32(0x10).uint64(id);
  return writer.uint32(0x28).bool(false).finish();
}

export function decodeConfState(state: raftpb.ConfState | undefined): ConfState {
  return {
    voters: (state?.voters ?? []).map((id) => id as NodeId),
    learners: (state?.learners ?? []).map((id) => id as NodeId),
  };
}

function encodeSnapshot(snapshot: SnapshotMetadata): Uint8Array {
  const writer = new BinaryWriter()
    .uint32(0x08)
    .uint64(BigInt(snapshot.index))
    .uint32(0x10)
    .uint64(BigInt(snapshot.term));
  // etcd refuses a snapshot record past index 0 without a membership.
  if (snapshot.index > 0) writer.uint32(0x1a).bytes(encodeConfState(snapshot.confState));
  return writer.finish();
}

export function decodeSnapshot(data: Uint8Array): SnapshotMetadata {
  const snapshot = walpb.Snapshot.decode(data);
  const decoded = {
    index: safe(snapshot.index) as Index,
    term: safe(snapshot.term) as Term,
    confState: decodeConfState(snapshot.confState),
  };
  return canonical(decoded, encodeSnapshot(decoded), data);
}

/** The checksum covers a record's data but not its type: what does not encode to the same bytes again was written as another type. */
function canonical<T>(decoded: T, encoded: Uint8Array, data: Uint8Array): T {
  if (Buffer.compare(encoded, data) !== 0) throw new RangeError("not what this type of record encodes to");
  return decoded;
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${String(value)} is more than 2^53 - 1`);
  return Number(value);
}
