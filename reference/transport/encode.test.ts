import { expect, test } from "vitest";
import { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import { PutRequest, RangeResponse } from "../../api/etcd/gen/rpc.ts";
import { encoded } from "./encode.ts";

const range = (valueBytes: number, kvs: number) =>
  RangeResponse.fromPartial({
    header: { clusterId: (1n << 64n) - 1n, memberId: 7n, revision: 1n << 40n, raftTerm: 2n },
    kvs: Array.from({ length: kvs }, (_, i) => ({
      key: Buffer.from(`k${i}`),
      value: Buffer.alloc(valueBytes, i),
      createRevision: BigInt(i),
      lease: -1n,
    })),
    count: BigInt(kvs),
  });

test("the bytes are those of the generated codec, whatever was encoded before", () => {
  // Long before short: what is left in the buffer must not be seen; beyond what is kept: the next one starts anew.
  for (const message of [range(300, 3), range(0, 1), range(3_000_000, 1), range(128, 2), range(0, 0)])
    expect(Buffer.compare(encoded(RangeResponse, message), RangeResponse.encode(message).finish())).toBe(0);
  const request = { ...InternalRaftRequest.create(), put: PutRequest.fromPartial({ key: Buffer.from("a") }) };
  expect(encoded(InternalRaftRequest, request)).toEqual(InternalRaftRequest.encode(request).finish());
});

test("bytes that were given away stay as they are", () => {
  const first = encoded(RangeResponse, range(10, 1));
  const before = Buffer.from(first);
  encoded(RangeResponse, range(20, 2));
  expect(Buffer.compare(first, before)).toBe(0);
});

test("a message that cannot be encoded leaves nothing behind", () => {
  const bad = PutRequest.fromPartial({ key: Buffer.from("key"), lease: 1n << 70n });
  expect(() => encoded(PutRequest, bad)).toThrow("too large");
  const good = PutRequest.fromPartial({ key: Buffer.from("b") });
  expect(encoded(PutRequest, good)).toEqual(PutRequest.encode(good).finish());
});
