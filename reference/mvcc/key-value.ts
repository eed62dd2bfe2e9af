import { assert } from "../../seams/assert.ts";
import type { KeyValue, Revision } from "./types.ts";

/**
 * `mvccpb.KeyValue` by hand, the bytes a real etcd stores (HashKV is computed over them): fields in ascending order of their
 * numbers, zero and empty ones left out. key = 1, create_revision = 2, mod_revision = 3, version = 4, value = 5, lease = 6.
 */
export function encodeKeyValue(kv: KeyValue): Uint8Array {
  const { key, value } = kv;
  const size =
    bytesSize(key) +
    varintField(kv.createRevision) +
    varintField(kv.modRevision) +
    varintField(kv.version) +
    bytesSize(value) +
    leaseSize(kv.lease);
  const out = Buffer.allocUnsafe(size);
  let at = writeBytes(out, 0, 0x0a, key);
  at = writeVarint(out, at, 0x10, kv.createRevision);
  at = writeVarint(out, at, 0x18, kv.modRevision);
  at = writeVarint(out, at, 0x20, kv.version);
  at = writeBytes(out, at, 0x2a, value);
  if (kv.lease !== 0n) writeLease(out, at, kv.lease);
  return out;
}

/** What a deletion stores: the key alone. */
export function encodeTombstone(key: Uint8Array): Uint8Array {
  const out = Buffer.allocUnsafe(bytesSize(key));
  writeBytes(out, 0, 0x0a, key);
  return out;
}

/** The key alone, as a view into `record`: all that index, watch filter and compaction need. */
export function keyOfRecord(record: Uint8Array): Uint8Array {
  // The empty key, which no server lets through, is left out as every empty field is.
  if (record[0] !== 0x0a) return EMPTY;
  const cursor = { at: 1 };
  const length = readVarint(record, cursor);
  return record.subarray(cursor.at, cursor.at + length);
}

/** Key and value are views into `record`. */
export function decodeKeyValue(record: Uint8Array): KeyValue {
  const cursor = { at: 0 };
  let key: Uint8Array = EMPTY;
  let value: Uint8Array = EMPTY;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let lease = 0n;
  while (cursor.at < record.length) {
    const tag = record[cursor.at++];
    if (tag === 0x0a || tag === 0x2a) {
      const length = readVarint(record, cursor);
      const bytes = record.subarray(cursor.at, cursor.at + length);
      cursor.at += length;
      if (tag === 0x0a) key = bytes;
      else value = bytes;
    } else if (tag === 0x10) createRevision = readVarint(record, cursor);
    else if (tag === 0x18) modRevision = readVarint(record, cursor);
    else if (tag === 0x20) version = readVarint(record, cursor);
    else {
      assert(tag === 0x30, "a stored KeyValue has only the fields of mvccpb.KeyValue");
      lease = readLease(record, cursor);
    }
  }
  return {
    key,
    value,
    createRevision: createRevision as Revision,
    modRevision: modRevision as Revision,
    version,
    lease,
  };
}

const EMPTY: Uint8Array = new Uint8Array(0);

function bytesSize(bytes: Uint8Array): number {
  return bytes.length === 0 ? 0 : 1 + varintSize(bytes.length) + bytes.length;
}

function varintField(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

function leaseSize(lease: bigint): number {
  if (lease === 0n) return 0;
  let size = 2;
  for (let rest = BigInt.asUintN(64, lease); rest >= 0x80n; rest >>= 7n) size++;
  return size;
}

function writeBytes(out: Uint8Array, at: number, tag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return at;
  out[at] = tag;
  const start = writeRest(out, at + 1, bytes.length);
  out.set(bytes, start);
  return start + bytes.length;
}

function writeVarint(out: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  out[at] = tag;
  return writeRest(out, at + 1, value);
}

function writeRest(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    out[next++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[next++] = rest;
  return next;
}

function writeLease(out: Uint8Array, at: number, lease: bigint): void {
  let rest = BigInt.asUintN(64, lease);
  let next = at;
  out[next++] = 0x30;
  while (rest >= 0x80n) {
    out[next++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  out[next] = Number(rest);
}

function readVarint(record: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = record[cursor.at++];
    assert(byte !== undefined, "a stored KeyValue is complete");
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
}

function readLease(record: Uint8Array, cursor: { at: number }): bigint {
  let value = 0n;
  let shift = 0n;
  for (;;) {
    const byte = record[cursor.at++];
    assert(byte !== undefined, "a stored KeyValue is complete");
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asIntN(64, value);
    shift += 7n;
  }
}
