import { expect, test } from "vitest";
import {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "../../api/etcd/gen/rpc.ts";
import { checkDelete, checkPut, checkRange, checkTxn, isReadOnly, isSerializable } from "./validate.ts";

const b = (text: string) => Buffer.from(text);
const put = (key: string): RequestOp => ({
  request: { $case: "requestPut", requestPut: PutRequest.fromPartial({ key: b(key) }) },
});
const del = (key: string, rangeEnd = ""): RequestOp => ({
  request: {
    $case: "requestDeleteRange",
    requestDeleteRange: DeleteRangeRequest.fromPartial({ key: b(key), rangeEnd: b(rangeEnd) }),
  },
});
const get = (key: string, serializable = false): RequestOp => ({
  request: { $case: "requestRange", requestRange: RangeRequest.fromPartial({ key: b(key), serializable }) },
});
const nested = (success: RequestOp[], failure: RequestOp[] = []): RequestOp => ({
  request: { $case: "requestTxn", requestTxn: { compare: [], success, failure } },
});
const txn = (success: RequestOp[], failure: RequestOp[] = []): TxnRequest => ({ compare: [], success, failure });

test("ranges, puts and deletes", () => {
  expect(() => checkRange(RangeRequest.fromPartial({}))).toThrow("key is not provided");
  expect(() => checkRange(RangeRequest.fromPartial({ key: b("a"), sortOrder: 9 as 0 }))).toThrow("invalid sort option");
  expect(() => checkRange(RangeRequest.fromPartial({ key: b("a"), sortTarget: 9 as 0 }))).toThrow(
    "invalid sort option",
  );
  expect(() => checkPut(PutRequest.fromPartial({}))).toThrow("key is not provided");
  expect(() => checkPut(PutRequest.fromPartial({ key: b("a"), value: b("v"), ignoreValue: true }))).toThrow(
    "value is provided",
  );
  expect(() => checkPut(PutRequest.fromPartial({ key: b("a"), lease: 1n, ignoreLease: true }))).toThrow(
    "lease is provided",
  );
  expect(() => checkDelete(DeleteRangeRequest.fromPartial({}))).toThrow("key is not provided");
  expect(() => checkRange(RangeRequest.fromPartial({ key: b("a") }))).not.toThrow();
});

test("too many operations, also by nesting", () => {
  const many = Array.from({ length: 129 }, (_, i) => put(String(i)));
  expect(() => checkTxn(txn(many), 128)).toThrow("too many operations");
  expect(() => checkTxn(txn(many.slice(1)), 128)).not.toThrow();
  expect(() => checkTxn(txn([nested([nested([put("a"), put("b")])])]), 3)).toThrow("too many operations");
});

test.each<[string, TxnRequest, string | undefined]>([
  ["one key put twice", txn([put("a"), put("a")]), "duplicate key"],
  ["a put and a delete of the same key", txn([put("a"), del("a")]), "duplicate key"],
  ["a put inside a deleted range", txn([put("b"), del("a", "c")]), "duplicate key"],
  ["a put at the end of a deleted range", txn([put("c"), del("a", "c")]), undefined],
  ["the same key in then and else", txn([put("a")], [put("a")]), undefined],
  ["the same key in both branches of a nested txn", txn([nested([put("a")], [put("a")])]), undefined],
  ["a key of a nested txn and of its parent", txn([nested([put("a")]), put("a")]), "duplicate key"],
  ["the same key in two nested txns", txn([nested([put("a")]), nested([], [put("a")])]), "duplicate key"],
  ["a nested put under a delete of its parent", txn([nested([put("b")]), del("a", "c")]), "duplicate key"],
  ["a put under a nested delete", txn([nested([del("a", "c")]), put("b")]), "duplicate key"],
  ["two deletes of one key", txn([del("a"), del("a")]), undefined],
  ["an operation that is none", txn([{ request: undefined }]), "key not found"],
  [
    "a compare without a key",
    {
      compare: [{ result: 0, target: 0, key: b(""), targetUnion: undefined, rangeEnd: b("") }],
      success: [],
      failure: [],
    },
    "key is not provided",
  ],
])("%s", (_, request, refused) => {
  if (refused === undefined) expect(() => checkTxn(request, 128)).not.toThrow();
  else expect(() => checkTxn(request, 128)).toThrow(refused);
});

test("which txns are reads, and which of those may be old", () => {
  expect(isReadOnly(txn([get("a")], [get("b")]))).toBe(true);
  expect(isReadOnly(txn([get("a")], [put("b")]))).toBe(false);
  expect(isSerializable(txn([get("a", true)]))).toBe(true);
  expect(isSerializable(txn([get("a", true)], [get("a")]))).toBe(false);
  expect(isSerializable(txn([]))).toBe(false);
});
