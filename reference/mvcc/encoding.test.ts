import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KeyValue as Generated } from "../../api/etcd/gen/kv.ts";
import { keyBytes, keyText } from "./key-text.ts";
import { decodeKeyValue, encodeKeyValue, encodeTombstone, keyOfRecord } from "./key-value.ts";
import { prefixEnd, spanHas, spanOf } from "./range-end.ts";
import { isTombstone, mainOf, readUint64, revisionKey, subOf, uint64Bytes } from "./revision.ts";
import type { KeyValue, Revision } from "./types.ts";

const bytes = fc.uint8Array({ maxLength: 200 });
const number = fc.oneof(fc.nat(300), fc.maxSafeNat());

describe("revision keys", () => {
  test("are etcd's bytes", () => {
    expect(Buffer.from(revisionKey(0x0102030405, 7)).toString("hex")).toBe(
      "0000000102030405" + "5f" + "0000000000000007",
    );
    expect(Buffer.from(revisionKey(2, 0, true)).toString("hex")).toBe(
      "0000000000000002" + "5f" + "0000000000000000" + "74",
    );
  });

  test("come back, and are ordered as their revisions are", () => {
    fc.assert(
      fc.property(number, number, fc.boolean(), number, number, (main, sub, tombstone, otherMain, otherSub) => {
        const key = revisionKey(main, sub, tombstone);
        expect([mainOf(key), subOf(key), isTombstone(key)]).toEqual([main, sub, tombstone]);
        const order = Math.sign(main - otherMain || sub - otherSub);
        if (order !== 0) expect(Buffer.compare(key, revisionKey(otherMain, otherSub))).toBe(order);
      }),
    );
  });

  test("what is no revision is refused", () => {
    expect(() => mainOf(new Uint8Array(16))).toThrow("a key of the key bucket is a revision");
    expect(() => mainOf(new Uint8Array(17))).toThrow("a key of the key bucket is a revision");
    expect(() => readUint64(new Uint8Array(8).fill(255), 0)).toThrow("below 2^53");
    expect(readUint64(uint64Bytes(Number.MAX_SAFE_INTEGER), 0)).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe("stored key-values", () => {
  const kv: fc.Arbitrary<KeyValue> = fc.record({
    key: bytes,
    value: bytes,
    createRevision: number.map((n) => n as Revision),
    modRevision: number.map((n) => n as Revision),
    version: number,
    lease: fc.oneof(fc.constant(0n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
  });

  test("are the bytes that the generated codec makes", () => {
    fc.assert(
      fc.property(kv, (one) => {
        const generated = Generated.encode({
          ...one,
          createRevision: BigInt(one.createRevision),
          modRevision: BigInt(one.modRevision),
          version: BigInt(one.version),
        }).finish();
        expect(Buffer.from(encodeKeyValue(one)).toString("hex")).toBe(Buffer.from(generated).toString("hex"));
        const back = decodeKeyValue(generated);
        expect({ ...back, key: [...back.key], value: [...back.value] }).toEqual({
          ...one,
          key: [...one.key],
          value: [...one.value],
        });
        expect([...keyOfRecord(generated)]).toEqual([...one.key]);
      }),
    );
  });

  test("a tombstone is its key", () => {
    fc.assert(
      fc.property(bytes, (key) => {
        expect([...keyOfRecord(encodeTombstone(key))]).toEqual([...key]);
      }),
    );
  });

  test.each([
    ["cut short", [0x0a, 0x01, 0x61, 0x10, 0x80], "complete"],
    ["of another message", [0x0a, 0x01, 0x61, 0x3a, 0x00], "only the fields"],
  ])("one that is %s stops the reader", (_, record, why) => {
    expect(() => decodeKeyValue(Uint8Array.from(record))).toThrow(why);
  });
});

describe("key texts and ranges", () => {
  test("texts keep every byte, and compare as bytes do", () => {
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect([...keyBytes(keyText(a))]).toEqual([...a]);
        expect(Math.sign(Buffer.compare(a, b))).toBe(keyText(a) < keyText(b) ? -1 : keyText(a) > keyText(b) ? 1 : 0);
      }),
    );
  });

  test.each([
    ["b", "", ["b"]],
    ["b", "\0", ["b", "b\0", "c", "\xff\xff"]],
    ["\0", "\0", ["a", "b", "b\0", "c", "\xff\xff"]],
    ["a", "b\0", ["a", "b"]],
    ["c", "b", []],
    ["b", "b", []],
  ])("[%j, %j) holds %j", (key, rangeEnd, expected) => {
    const span = spanOf({ key: keyBytes(key), rangeEnd: keyBytes(rangeEnd) });
    expect(["a", "b", "b\0", "c", "\xff\xff"].filter((candidate) => spanHas(span, candidate))).toEqual(expected);
  });

  test.each([
    ["ab", "ac"],
    ["a\xff", "b"],
    ["\xff\xff", "\0"],
    ["", "\0"],
  ])("the end of prefix %j is %j", (prefix, end) => {
    expect(keyText(prefixEnd(keyBytes(prefix)))).toBe(end);
  });
});
