import { assert } from "../../seams/assert.ts";

/** Bytes of a revision key: main (8, big-endian), '_', sub (8, big-endian). A tombstone's key has one more byte, 't'. */
export const REVISION_BYTES = 17;
const SEPARATOR = 0x5f;
const TOMBSTONE = 0x74;

/** etcd's backend key for change `sub` of revision `main`: in byte order the changes come in the order they happened. */
export function revisionKey(main: number, sub: number, tombstone = false): Uint8Array {
  const key = Buffer.allocUnsafe(tombstone ? REVISION_BYTES + 1 : REVISION_BYTES);
  writeUint64(key, 0, main);
  key[8] = SEPARATOR;
  writeUint64(key, 9, sub);
  if (tombstone) key[REVISION_BYTES] = TOMBSTONE;
  return key;
}

export function mainOf(key: Uint8Array): number {
  assert(isRevisionKey(key), "a key of the key bucket is a revision");
  return readUint64(key, 0);
}

export function subOf(key: Uint8Array): number {
  return readUint64(key, 9);
}

export function isTombstone(key: Uint8Array): boolean {
  return key.length === REVISION_BYTES + 1 && key[REVISION_BYTES] === TOMBSTONE;
}

function isRevisionKey(key: Uint8Array): boolean {
  return (key.length === REVISION_BYTES || isTombstone(key)) && key[8] === SEPARATOR;
}

/** 8 bytes big-endian for a number up to 2^53: revisions and indexes are far below it, and bigint would cost on the hot path. */
export function writeUint64(into: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  const low = value >>> 0;
  into[at] = high >>> 24;
  into[at + 1] = high >>> 16;
  into[at + 2] = high >>> 8;
  into[at + 3] = high;
  into[at + 4] = low >>> 24;
  into[at + 5] = low >>> 16;
  into[at + 6] = low >>> 8;
  into[at + 7] = low;
}

export function readUint64(from: Uint8Array, at: number): number {
  const high = readUint32(from, at);
  assert(high < 0x20_0000, "a stored number is below 2^53");
  return high * 0x1_0000_0000 + readUint32(from, at + 4);
}

function readUint32(from: Uint8Array, at: number): number {
  return (
    (((from[at] ?? 0) << 24) | ((from[at + 1] ?? 0) << 16) | ((from[at + 2] ?? 0) << 8) | (from[at + 3] ?? 0)) >>> 0
  );
}

export function uint64Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeUint64(bytes, 0, value);
  return bytes;
}
