import type { EtcdInput } from "knossos-ts";
import { expect, test } from "vitest";
import * as rpc from "../../api/etcd/gen/rpc.ts";
import { Event_EventType } from "../../api/etcd/gen/kv.ts";
import {
  InvalidInput,
  isReadOnly,
  keepAliveBytes,
  keepAliveOutput,
  UnreadableAnswer,
  watchBytes,
  watchMessage,
  wireCall,
} from "./wire.ts";

const utf8 = (value: string) => new TextEncoder().encode(value);
const header = { revision: 7n, raftTerm: 2n };
const kv = { key: utf8("k"), value: utf8("v"), createRevision: 3n, modRevision: 5n, version: 2n };
const kvAsJson = { key: "k", value: "v", createRevision: 3, modRevision: 5, version: 2 };

test("a put carries each of its fields", () => {
  const call = wireCall({
    f: "put",
    key: "ключ",
    value: "",
    lease: "-9223372036854775808",
    prevKv: true,
    ignoreValue: true,
    ignoreLease: true,
  });
  expect(call.path).toBe("/etcdserverpb.KV/Put");
  expect(rpc.PutRequest.decode(call.request)).toEqual({
    key: utf8("ключ"),
    value: new Uint8Array(0),
    lease: -(2n ** 63n),
    prevKv: true,
    ignoreValue: true,
    ignoreLease: true,
  });
});

test("a put's answer keeps the previous pair and drops a lease of none", () => {
  const answer = rpc.PutResponse.encode(rpc.PutResponse.fromPartial({ header, prevKv: kv })).finish();
  expect(wireCall({ f: "put", key: "k", value: "v" }).read(answer)).toEqual({
    f: "put",
    revision: 7,
    prevKv: kvAsJson,
  });
});

test("a range carries each of its fields", () => {
  const call = wireCall({
    f: "range",
    key: "a",
    rangeEnd: "\0",
    revision: 4,
    limit: 2,
    serializable: true,
    keysOnly: true,
    countOnly: true,
    sort: { target: "mod", order: "descend" },
    minModRevision: 1,
    maxModRevision: 2,
    minCreateRevision: 3,
    maxCreateRevision: 4,
  });
  expect(rpc.RangeRequest.decode(call.request)).toEqual({
    key: utf8("a"),
    rangeEnd: new Uint8Array([0]),
    revision: 4n,
    limit: 2n,
    serializable: true,
    keysOnly: true,
    countOnly: true,
    sortTarget: rpc.RangeRequest_SortTarget.MOD,
    sortOrder: rpc.RangeRequest_SortOrder.DESCEND,
    minModRevision: 1n,
    maxModRevision: 2n,
    minCreateRevision: 3n,
    maxCreateRevision: 4n,
  });
});

test("a range's answer keeps pairs, count, more and leases past 2^53", () => {
  const answer = rpc.RangeResponse.encode(
    rpc.RangeResponse.fromPartial({ header, kvs: [{ ...kv, lease: 7587_8633_0592_8745_123n }], count: 9n, more: true }),
  ).finish();
  expect(wireCall({ f: "range", key: "k" }).read(answer)).toEqual({
    f: "range",
    revision: 7,
    kvs: [{ ...kvAsJson, lease: "7587863305928745123" }],
    count: 9,
    more: true,
  });
});

test("a delete carries its range and reads what it took", () => {
  const call = wireCall({ f: "delete", key: "a", rangeEnd: "b", prevKv: true });
  expect(rpc.DeleteRangeRequest.decode(call.request)).toEqual({ key: utf8("a"), rangeEnd: utf8("b"), prevKv: true });
  expect(
    call.read(
      rpc.DeleteRangeResponse.encode(
        rpc.DeleteRangeResponse.fromPartial({ header, deleted: 1n, prevKvs: [kv] }),
      ).finish(),
    ),
  ).toEqual({ f: "delete", revision: 7, deleted: 1, prevKvs: [kvAsJson] });
});

test("a txn carries each kind of compare and nested requests", () => {
  const call = wireCall({
    f: "txn",
    compare: [
      { key: "a", target: "version", result: "=", operand: 1 },
      { key: "a", target: "create", result: "!=", operand: 2 },
      { key: "a", target: "mod", result: ">", operand: 3 },
      { key: "a", target: "value", result: "<", operand: "x" },
      { key: "a", rangeEnd: "b", target: "lease", result: "=", operand: "9007199254740993" },
    ],
    success: [
      { f: "put", key: "a", value: "1" },
      { f: "txn", compare: [], success: [{ f: "delete", key: "z" }], failure: [] },
    ],
    failure: [{ f: "range", key: "a" }],
  });
  const sent = rpc.TxnRequest.decode(call.request);
  expect(sent.compare.map((compare) => [compare.target, compare.result, compare.targetUnion])).toEqual([
    [0, 0, { $case: "version", version: 1n }],
    [1, 3, { $case: "createRevision", createRevision: 2n }],
    [2, 1, { $case: "modRevision", modRevision: 3n }],
    [3, 2, { $case: "value", value: utf8("x") }],
    [4, 0, { $case: "lease", lease: 9007199254740993n }],
  ]);
  expect(sent.compare[4]?.rangeEnd).toEqual(utf8("b"));
  expect(sent.success.map((op) => op.request?.$case)).toEqual(["requestPut", "requestTxn"]);
  expect(sent.failure.map((op) => op.request?.$case)).toEqual(["requestRange"]);
});

test("the answers within a txn have no revision of their own", () => {
  const answer = rpc.TxnResponse.encode(
    rpc.TxnResponse.fromPartial({
      header,
      succeeded: true,
      responses: [
        { response: { $case: "responsePut", responsePut: { header } } },
        { response: { $case: "responseDeleteRange", responseDeleteRange: { deleted: 2n } } },
        { response: { $case: "responseRange", responseRange: { kvs: [kv], count: 1n } } },
        { response: { $case: "responseTxn", responseTxn: { succeeded: false } } },
      ],
    }),
  ).finish();
  expect(wireCall({ f: "txn", compare: [], success: [], failure: [] }).read(answer)).toEqual({
    f: "txn",
    revision: 7,
    succeeded: true,
    answers: [
      { f: "put" },
      { f: "delete", deleted: 2 },
      { f: "range", kvs: [kvAsJson], count: 1, more: false },
      { f: "txn", succeeded: false, answers: [] },
    ],
  });
});

test("compaction and leases go both ways", () => {
  expect(rpc.CompactionRequest.decode(wireCall({ f: "compact", revision: 5, physical: true }).request)).toEqual({
    revision: 5n,
    physical: true,
  });
  const grant = wireCall({ f: "lease-grant", id: "77", ttlSeconds: 3 });
  expect(rpc.LeaseGrantRequest.decode(grant.request)).toEqual({ ID: 77n, TTL: 3n });
  expect(
    grant.read(
      rpc.LeaseGrantResponse.encode(rpc.LeaseGrantResponse.fromPartial({ header, ID: 77n, TTL: 3n })).finish(),
    ),
  ).toEqual({ f: "lease-grant", revision: 7, id: "77", ttlSeconds: 3 });
  const left = wireCall({ f: "lease-time-to-live", id: "77", keys: true });
  expect(
    left.read(
      rpc.LeaseTimeToLiveResponse.encode(
        rpc.LeaseTimeToLiveResponse.fromPartial({ header, ID: 77n, TTL: -1n, grantedTTL: 3n, keys: [utf8("a")] }),
      ).finish(),
    ),
  ).toEqual({ f: "lease-time-to-live", revision: 7, ttlSeconds: -1, grantedSeconds: 3, keys: ["a"] });
  expect(rpc.LeaseKeepAliveRequest.decode(keepAliveBytes({ f: "lease-keepalive", id: "77" }))).toEqual({ ID: 77n });
  expect(
    keepAliveOutput(
      rpc.LeaseKeepAliveResponse.encode(rpc.LeaseKeepAliveResponse.fromPartial({ header, ID: 77n })).finish(),
    ),
  ).toEqual({ f: "lease-keepalive", revision: 7, ttlSeconds: 0 });
});

test("a watch carries its filters and reads its messages", () => {
  const request = rpc.WatchRequest.decode(
    watchBytes({
      f: "watch",
      key: "a",
      rangeEnd: "b",
      startRevision: 9,
      prevKv: true,
      noPut: true,
      noDelete: true,
      progressNotify: true,
      fragment: true,
    }),
  ).requestUnion;
  expect(request).toEqual({
    $case: "createRequest",
    createRequest: {
      key: utf8("a"),
      rangeEnd: utf8("b"),
      startRevision: 9n,
      prevKv: true,
      progressNotify: true,
      fragment: true,
      watchId: 0n,
      filters: [0, 1],
    },
  });
  const read = (partial: Parameters<typeof rpc.WatchResponse.fromPartial>[0]) =>
    watchMessage(rpc.WatchResponse.encode(rpc.WatchResponse.fromPartial({ header, ...partial })).finish());
  expect(read({ created: true })).toEqual({ revision: 7, created: true, events: [] });
  expect(read({})).toEqual({ revision: 7, progress: true, events: [] });
  expect(read({ canceled: true, compactRevision: 4n, cancelReason: "compacted" })).toEqual({
    revision: 7,
    canceled: true,
    compactRevision: 4,
    cancelReason: "compacted",
    events: [],
  });
  expect(
    read({
      fragment: true,
      events: [{ type: Event_EventType.DELETE, kv: { key: utf8("k"), modRevision: 6n }, prevKv: kv }],
    }),
  ).toEqual({
    revision: 7,
    fragment: true,
    events: [
      { type: "delete", kv: { key: "k", value: "", createRevision: 0, modRevision: 6, version: 0 }, prevKv: kvAsJson },
    ],
  });
});

test.each<[string, EtcdInput]>([
  ["a lease id that is no number", { f: "lease-revoke", id: "0x1" }],
  ["a lease id past 64 bits", { f: "lease-revoke", id: "9223372036854775808" }],
  ["a fractional revision", { f: "compact", revision: 1.5 }],
  ["a revision past 2^53", { f: "range", key: "a", revision: 2 ** 53 }],
  [
    "a version given as text",
    { f: "txn", compare: [{ key: "a", target: "version", result: "=", operand: "1" }], success: [], failure: [] },
  ],
])("%s never leaves", (_, input) => {
  if (input.f === "lease-keepalive") return;
  expect(() => wireCall(input)).toThrow(InvalidInput);
});

test.each([
  ["no header", {}],
  ["a revision past 2^53", { header: { revision: 2n ** 53n } }],
  ["bytes that are not UTF-8", { header, kvs: [{ ...kv, value: new Uint8Array([0xff]) }] }],
])("an answer with %s cannot be read", (_, partial) => {
  const call = wireCall({ f: "range", key: "k" });
  expect(() => call.read(rpc.RangeResponse.encode(rpc.RangeResponse.fromPartial(partial)).finish())).toThrow(
    UnreadableAnswer,
  );
});

test("bytes that are no such message cannot be read", () => {
  expect(() => wireCall({ f: "range", key: "k" }).read(new Uint8Array([0x0a, 0xff]))).toThrow(UnreadableAnswer);
});

test("what can change nothing is known beforehand", () => {
  expect(isReadOnly({ f: "range", key: "a" })).toBe(true);
  expect(isReadOnly({ f: "lease-time-to-live", id: "1" })).toBe(true);
  expect(isReadOnly({ f: "txn", compare: [], success: [{ f: "range", key: "a" }], failure: [] })).toBe(true);
  expect(
    isReadOnly({
      f: "txn",
      compare: [],
      success: [],
      failure: [{ f: "txn", compare: [], success: [{ f: "delete", key: "a" }], failure: [] }],
    }),
  ).toBe(false);
  expect(isReadOnly({ f: "lease-keepalive", id: "1" })).toBe(false);
  expect(isReadOnly({ f: "compact", revision: 1 })).toBe(false);
});
