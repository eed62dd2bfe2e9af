import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { crc32c } from "@node-rs/crc32";
import { expect, test } from "vitest";
import fc from "fast-check";
import * as raftpb from "../../api/etcd/gen/raft.ts";
import * as walpb from "../../api/etcd/gen/wal.ts";
import type { Entry, HardState, Index, NodeId, SnapshotMetadata, Term } from "../raft/types.ts";
import { readSegment } from "./reader.ts";
import {
  decodeEntry,
  decodeHardState,
  decodeMetadata,
  decodeSnapshot,
  ENTRY_RECORD,
  METADATA_RECORD,
  RecordWriter,
  SNAPSHOT_RECORD,
  STATE_RECORD,
} from "./record.ts";

const numbers = fc.oneof(
  fc.constantFrom(1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 35, Number.MAX_SAFE_INTEGER),
  fc.integer({ min: 1, max: 2 ** 30 }),
);
const ids = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const entries: fc.Arbitrary<Entry> = fc.record({
  term: numbers.map((n) => n as Term),
  index: numbers.map((n) => n as Index),
  type: fc.constantFrom("normal" as const, "confChange" as const),
  data: fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 100, max: 20_000 }).map((n) => new Uint8Array(n).fill(n)),
  ),
});

/** A log's head, so that the reader has a checksum to start from. */
function log(write: (writer: RecordWriter) => void): { type: number; data: Uint8Array }[] {
  const writer = new RecordWriter(0, 64);
  writer.checksum();
  write(writer);
  const records: { type: number; data: Uint8Array }[] = [];
  const end = readSegment({ path: "log", bytes: writer.bytes(), last: true }, undefined, (type, data) =>
    records.push({ type, data }),
  );
  expect(end).toEqual({ offset: writer.length, crc: writer.crc, torn: false });
  return records.slice(1);
}

test("the hand-written entry encoder says what the generated codec reads", () => {
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 6 }), (list) => {
      const read = log((writer) => list.forEach((entry) => writer.entry(entry)));
      expect(read.map(({ type }) => type)).toEqual(list.map(() => ENTRY_RECORD));
      expect(read.map(({ data }) => decodeEntry(data))).toEqual(list);
      const generated = read.map(({ data }) => raftpb.Entry.decode(data));
      expect(generated).toEqual(
        list.map((entry) => ({
          term: BigInt(entry.term),
          index: BigInt(entry.index),
          type: entry.type === "normal" ? 0 : 1,
          data: entry.data,
        })),
      );
    }),
    { numRuns: 300 * Number(process.env["SEATRIAL_RUNS"] ?? 1) },
  );
});

test("a frame is etcd's: length, padding, record with the rolling checksum", () => {
  const writer = new RecordWriter(0x1234, 16);
  writer.entry({ term: 3 as Term, index: 300 as Index, type: "normal", data: new TextEncoder().encode("hello") });
  const data = new Uint8Array([0x08, 0, 0x10, 3, 0x18, 0xac, 0x02, 0x22, 5, ...new TextEncoder().encode("hello")]);
  const crc = crc32c(data, 0x1234);
  const record = new BinaryWriter().uint32(0x08).int64(2).uint32(0x10).uint32(crc).uint32(0x1a).bytes(data).finish();
  const padding = (8 - (record.length % 8)) % 8;
  const frame = Buffer.alloc(8 + record.length + padding);
  frame.writeBigUInt64LE(BigInt(record.length) | (padding === 0 ? 0n : BigInt(0x80 | padding) << 56n));
  frame.set(record, 8);
  expect(Buffer.from(writer.bytes()).toString("hex")).toBe(frame.toString("hex"));
  expect(walpb.Record.decode(record).crc).toBe(writer.crc);
});

test("every length of data is framed to a multiple of eight, short checksums included", () => {
  const writer = new RecordWriter(0, 64);
  writer.checksum();
  for (let n = 0; n < 2000; n++) {
    writer.entry({ term: 1 as Term, index: (n + 1) as Index, type: "normal", data: new Uint8Array(n % 33) });
    expect(writer.length % 8).toBe(0);
  }
  let count = 0;
  readSegment({ path: "log", bytes: writer.bytes(), last: false }, undefined, () => count++);
  expect(count).toBe(2001);
});

test("hard state, metadata and snapshot come back", () => {
  fc.assert(
    fc.property(
      ids,
      ids,
      fc.oneof(numbers, fc.constant(0)),
      numbers,
      fc.array(ids, { maxLength: 4 }),
      (a, b, x, y, members) => {
        const state: HardState = { term: x as Term, vote: a as NodeId, commit: y as Index };
        const voters = x > 0 ? members.map((id) => id as NodeId) : [];
        const snapshot: SnapshotMetadata = { index: x as Index, term: y as Term, confState: { voters, learners: [] } };
        const read = log((writer) => {
          writer.state(state);
          writer.metadata({ nodeId: a, clusterId: b });
          writer.snapshot(snapshot);
        });
        expect(read.map(({ type }) => type)).toEqual([STATE_RECORD, METADATA_RECORD, SNAPSHOT_RECORD]);
        expect(decodeHardState(read[0]?.data ?? new Uint8Array())).toEqual(state);
        expect(decodeMetadata(read[1]?.data ?? new Uint8Array())).toEqual({ nodeId: a, clusterId: b });
        expect(decodeSnapshot(read[2]?.data ?? new Uint8Array())).toEqual(snapshot);
      },
    ),
    { numRuns: 100 },
  );
});

test("a record under the wrong type is refused, though its checksum is right", () => {
  const writer = new RecordWriter(0, 64);
  writer.checksum();
  const at = writer.length;
  writer.entry({ term: 1 as Term, index: 1 as Index, type: "normal", data: new Uint8Array(3) });
  const bytes = writer.bytes().slice();
  expect(bytes[at + 9]).toBe(ENTRY_RECORD);
  bytes[at + 9] = STATE_RECORD;
  expect(() =>
    readSegment(
      { path: "log", bytes, last: false },
      undefined,
      (type, data) => type === STATE_RECORD && decodeHardState(data),
    ),
  ).toThrow(/log is damaged at offset 16: a record with a valid checksum/);
});
