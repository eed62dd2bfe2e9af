import { crc32c } from "@node-rs/crc32";
import { WalError } from "./error.ts";
import { CRC_RECORD, decodeVarint, FRAME_HEADER_BYTES } from "./record.ts";

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** One segment's bytes and what to call it in a complaint. */
export interface SegmentBytes {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

export interface SegmentEnd {
  /** Where the next record goes. */
  readonly offset: number;
  readonly crc: number | undefined;
  /** Something was written past `offset` that is no whole record. Only ever true for the last segment. */
  readonly torn: boolean;
}

/**
 * Reads one segment's records in order. The rule for what does not check out (etcd decoder.go, made strict):
 * in the last segment a record that ends early, or that spans an all-zero sector, was being written when the power went:
 * the log ends before it. Everything else was once durable and has changed since: refused.
 * @param crc running checksum of the segments before; undefined for the first one read, whose head then sets it.
 */
export function readSegment(
  segment: SegmentBytes,
  crc: number | undefined,
  onRecord: (type: number, data: Uint8Array, offset: number) => void,
): SegmentEnd {
  const { bytes } = segment;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let running = crc;
  let offset = 0;
  while (offset + FRAME_HEADER_BYTES <= bytes.length) {
    const low = view.getUint32(offset, true);
    const high = view.getUint32(offset + 4, true);
    if (low === 0 && high === 0) break;
    const frame = frameOf(low, high);
    if (frame === undefined) throw damaged(segment, offset, "a record's length was never written like this");
    if (offset + FRAME_HEADER_BYTES + frame.size + frame.padding > bytes.length) {
      // A length that reaches past the file: written early in a batch whose rest never came, or rot.
      if (segment.last) return { offset, crc: running, torn: true };
      throw damaged(segment, offset, "a record's length reaches past the end of the file");
    }
    const whole = bytes.subarray(offset + FRAME_HEADER_BYTES, offset + FRAME_HEADER_BYTES + frame.size + frame.padding);
    const record = decodeRecord(whole.subarray(0, frame.size));
    const expected = record === undefined ? undefined : expectedChecksum(record, running);
    if (record === undefined || expected !== record.crc || firstNonZero(whole, frame.size) !== undefined) {
      if (segment.last && spansZeroSector(whole, offset + FRAME_HEADER_BYTES))
        return { offset, crc: running, torn: true };
      throw damaged(
        segment,
        offset,
        record === undefined
          ? "a record cannot be decoded"
          : `a record says checksum ${hex(record.crc)}, its bytes give ${hex(expected ?? 0)}`,
      );
    }
    running = record.crc;
    try {
      onRecord(record.type, record.data, offset);
    } catch (error) {
      if (error instanceof WalError) throw error;
      throw new WalError(
        "WAL_DAMAGED",
        `${segment.path} is damaged at offset ${offset}: a record with a valid checksum cannot be decoded (${String(error)})`,
        error,
      );
    }
    offset += FRAME_HEADER_BYTES + frame.size + frame.padding;
  }
  const rest = firstNonZero(bytes, offset);
  if (rest === undefined) return { offset, crc: running, torn: false };
  // The sector with the length was lost, a later one was not.
  if (segment.last) return { offset, crc: running, torn: true };
  throw damaged(segment, offset, `there is no record, but other bytes follow at offset ${rest}`);
}

function frameOf(low: number, high: number): { size: number; padding: number } | undefined {
  const top = high >>> 24;
  const size = (high & 0x00ff_ffff) * 0x1_0000_0000 + low;
  const padding = (8 - (size % 8)) % 8;
  // Anything but the padding that the size asks for was never written.
  return top === (padding === 0 ? 0 : 0x80 | padding) ? { size, padding } : undefined;
}

interface FramedRecord {
  readonly type: number;
  readonly crc: number;
  readonly data: Uint8Array;
}

/**
 * walpb.Record, exactly as etcd writes it: type, crc, data if any, and not a byte more. The generated codec would skip what it
 * does not know and stop at a zero tag, so that a flipped length could swallow the records after it with a checksum that still fits.
 */
function decodeRecord(body: Uint8Array): FramedRecord | undefined {
  if (body[0] !== 0x08 || body[2] !== 0x10) return undefined;
  const type = body[1] ?? 0;
  const crc = decodeVarint(body, 3);
  if (crc === undefined || crc.value > 0xffff_ffff) return undefined;
  if (crc.end === body.length) return { type, crc: crc.value, data: body.subarray(crc.end) };
  if (body[crc.end] !== 0x1a) return undefined;
  const length = decodeVarint(body, crc.end + 1);
  if (length === undefined || length.end + length.value !== body.length) return undefined;
  return { type, crc: crc.value, data: body.subarray(length.end) };
}

/** A checksum record repeats the running value; every other one carries the value after its data. */
function expectedChecksum(record: FramedRecord, running: number | undefined): number | undefined {
  if (record.type === CRC_RECORD) return running ?? record.crc;
  return running === undefined ? undefined : crc32c(record.data, running);
}

/** Whether any sector's part of this record, that begins at `at` in the file, is all zero (etcd decoder.go, isTornEntry). */
function spansZeroSector(record: Uint8Array, at: number): boolean {
  let start = 0;
  while (start < record.length) {
    const end = Math.min(record.length, start + SECTOR_BYTES - ((at + start) % SECTOR_BYTES));
    if (firstNonZero(record.subarray(start, end), 0) === undefined) return true;
    start = end;
  }
  return false;
}

function firstNonZero(bytes: Uint8Array, from: number): number | undefined {
  const rest = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at < rest.length; at += ZEROS.length) {
    const end = Math.min(rest.length, at + ZEROS.length);
    if (rest.compare(ZEROS, 0, end - at, at, end) === 0) continue;
    for (let i = at; i < end; i++) if (rest[i] !== 0) return i;
  }
  return undefined;
}

const ZEROS = new Uint8Array(64 * 1024);

function damaged(segment: SegmentBytes, offset: number, what: string): WalError {
  return new WalError(
    "WAL_DAMAGED",
    `${segment.path} is damaged at offset ${offset}: ${what}; restore this member from a backup, or remove it from the cluster and add it anew`,
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
