import { crc32c } from "@node-rs/crc32";
import type { BackendWrite, Bucket } from "./backend.ts";

const MAGIC = Buffer.from("seatrial-backend-1\n");
const CHUNK_BYTES = 256 * 1024;
/** Frame of one record: bucket number, key length, value length. */
const HEAD_BYTES = 9;
/** In place of a bucket number: the end, followed by the CRC-32C of all before it. */
const END = 0xff;
const TRAILER_BYTES = 5;

/** Numbered as stored: append only, never renumber. */
export const BUCKETS: readonly Bucket[] = ["meta", "lease", "auth", "members", "alarm", "key"];

/** A snapshot that was cut short, or damaged on its way. */
export class DamagedSnapshot extends Error {
  override readonly name = "DamagedSnapshot";
}

/** Content of a backend as a stream of chunks: the same form for every backend, so that any restores from any. */
export async function* writeSnapshot(
  pairs: Iterable<readonly [Bucket, Uint8Array, Uint8Array]>,
): AsyncIterable<Uint8Array> {
  let parts: Uint8Array[] = [MAGIC];
  let bytes = MAGIC.length;
  let crc = 0;
  const chunk = (): Uint8Array => {
    const whole = Buffer.concat(parts);
    crc = crc32c(whole, crc);
    parts = [];
    bytes = 0;
    return whole;
  };
  for (const [bucket, key, value] of pairs) {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head[0] = BUCKETS.indexOf(bucket);
    head.writeUInt32BE(key.length, 1);
    head.writeUInt32BE(value.length, 5);
    parts.push(head, key, value);
    bytes += HEAD_BYTES + key.length + value.length;
    if (bytes >= CHUNK_BYTES) yield chunk();
  }
  yield chunk();
  const trailer = Buffer.alloc(TRAILER_BYTES, END);
  trailer.writeUInt32BE(crc, 1);
  yield trailer;
}

/** The records of a snapshot stream, however it is cut into chunks. Rejects with `DamagedSnapshot`; records already yielded must not be kept then. */
export async function* readSnapshot(stream: AsyncIterable<Uint8Array>): AsyncIterable<BackendWrite> {
  let buffer: Buffer = Buffer.alloc(0);
  let at = 0;
  let crc = 0;
  let started = false;
  let ended = false;
  for await (const chunk of stream) {
    if (ended && chunk.length > 0) throw new DamagedSnapshot("the snapshot goes on after its end");
    buffer =
      at === buffer.length
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([buffer.subarray(at), chunk]);
    at = 0;
    if (!started) {
      if (buffer.length < MAGIC.length) continue;
      if (!buffer.subarray(0, MAGIC.length).equals(MAGIC))
        throw new DamagedSnapshot("this is not a snapshot of a store");
      started = true;
      at = MAGIC.length;
      crc = crc32c(MAGIC, crc);
    }
    for (;;) {
      const left = buffer.length - at;
      if (left > 0 && buffer[at] === END) {
        if (left < TRAILER_BYTES) break;
        if (left > TRAILER_BYTES) throw new DamagedSnapshot("the snapshot goes on after its end");
        if (buffer.readUInt32BE(at + 1) !== crc)
          throw new DamagedSnapshot("the snapshot's checksum does not match its content");
        ended = true;
        at += TRAILER_BYTES;
        break;
      }
      if (left < HEAD_BYTES) break;
      const bucket = BUCKETS[buffer[at] ?? END];
      if (bucket === undefined) throw new DamagedSnapshot("the snapshot holds an unknown kind of record");
      const keyEnd = at + HEAD_BYTES + buffer.readUInt32BE(at + 1);
      const end = keyEnd + buffer.readUInt32BE(at + 5);
      if (end > buffer.length) break;
      crc = crc32c(buffer.subarray(at, end), crc);
      // Copies: the record outlives the chunk it came in.
      yield {
        op: "put",
        bucket,
        key: Uint8Array.from(buffer.subarray(at + HEAD_BYTES, keyEnd)),
        value: Uint8Array.from(buffer.subarray(keyEnd, end)),
      };
      at = end;
    }
  }
  if (!ended) throw new DamagedSnapshot("the snapshot ends before its end mark");
}
