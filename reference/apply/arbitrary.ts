import fc from "fast-check";
import { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type {
  Compare,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from "../../api/etcd/gen/rpc.ts";
import type { ApplyEntry } from "./types.ts";
import type { Index, Term } from "../raft/types.ts";

/** Requests as property tests want them: few keys and small numbers, so that they meet each other. */

const KEYS = ["a", "b", "c", "d", "b\0", "\xff"];
const key = fc.constantFrom(...KEYS).map(bytes);
const rangeEnd = fc.oneof(
  { weight: 3, arbitrary: fc.constant(bytes("")) },
  { weight: 2, arbitrary: fc.constantFrom("\0", "b", "c", "d", "z").map(bytes) },
);
const value = fc.constantFrom("", "1", "2", "value").map(bytes);
const lease = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0n) },
  { weight: 3, arbitrary: fc.constantFrom(7n, 8n, 1n << 60n) },
);
const smallRevision = fc.oneof({ weight: 3, arbitrary: fc.constant(0n) }, { weight: 2, arbitrary: fc.bigInt(1n, 30n) });
const flag = fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

export const putRequest: fc.Arbitrary<PutRequest> = fc
  .record({ key, value, lease, prevKv: fc.boolean(), ignoreValue: flag, ignoreLease: flag })
  // What no server lets through is no part of what is compared with one.
  .map((put) => ({ ...put, value: put.ignoreValue ? bytes("") : put.value, lease: put.ignoreLease ? 0n : put.lease }));

export const deleteRequest: fc.Arbitrary<DeleteRangeRequest> = fc.record({ key, rangeEnd, prevKv: fc.boolean() });

export const rangeRequest: fc.Arbitrary<RangeRequest> = fc.record({
  key: fc.oneof(key, fc.constant(bytes("\0"))),
  rangeEnd,
  limit: fc.bigInt(0n, 3n),
  revision: smallRevision,
  sortOrder: fc.constantFrom(0 as const, 1 as const, 2 as const),
  sortTarget: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const, 4 as const),
  serializable: fc.constant(false),
  keysOnly: flag,
  countOnly: flag,
  minModRevision: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(1n, 20n) }),
  maxModRevision: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(1n, 20n) }),
  minCreateRevision: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(1n, 20n) }),
  maxCreateRevision: fc.oneof({ weight: 4, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: fc.bigInt(1n, 20n) }),
});

const expectation: fc.Arbitrary<Pick<Compare, "target" | "targetUnion">> = fc.oneof(
  fc.bigInt(0n, 3n).map((version) => ({ target: 0 as const, targetUnion: { $case: "version" as const, version } })),
  fc.bigInt(0n, 10n).map((createRevision) => ({
    target: 1 as const,
    targetUnion: { $case: "createRevision" as const, createRevision },
  })),
  fc
    .bigInt(0n, 10n)
    .map((modRevision) => ({ target: 2 as const, targetUnion: { $case: "modRevision" as const, modRevision } })),
  value.map((expected) => ({ target: 3 as const, targetUnion: { $case: "value" as const, value: expected } })),
  lease.map((expected) => ({ target: 4 as const, targetUnion: { $case: "lease" as const, lease: expected } })),
);

export const compare: fc.Arbitrary<Compare> = fc
  .tuple(expectation, fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const), key, rangeEnd)
  .map(([expected, result, at, end]) => ({ ...expected, result, key: at, rangeEnd: end }));

export const txnRequest: fc.Arbitrary<TxnRequest> = txnOfDepth(2);

function txnOfDepth(depth: number): fc.Arbitrary<TxnRequest> {
  const nested: fc.Arbitrary<RequestOp>[] =
    depth === 0 ? [] : [txnOfDepth(depth - 1).map((requestTxn) => ({ request: { $case: "requestTxn", requestTxn } }))];
  const op = fc.oneof<fc.Arbitrary<RequestOp>[]>(
    putRequest.map((requestPut) => ({ request: { $case: "requestPut", requestPut } })),
    deleteRequest.map((requestDeleteRange) => ({ request: { $case: "requestDeleteRange", requestDeleteRange } })),
    rangeRequest.map((requestRange) => ({ request: { $case: "requestRange", requestRange } })),
    ...nested,
  );
  const branch = fc.array(op, { maxLength: 3 });
  return fc.record({ compare: fc.array(compare, { maxLength: 2 }), success: branch, failure: branch });
}

/** Anything that may stand in the log. */
export const raftRequest: fc.Arbitrary<InternalRaftRequest> = fc
  .oneof(
    { weight: 6, arbitrary: putRequest.map((put) => ({ put })) },
    { weight: 3, arbitrary: deleteRequest.map((deleteRange) => ({ deleteRange })) },
    { weight: 5, arbitrary: txnRequest.map((txn) => ({ txn })) },
    { weight: 1, arbitrary: rangeRequest.map((range) => ({ range })) },
    { weight: 2, arbitrary: fc.bigInt(1n, 25n).map((revision) => ({ compaction: { revision, physical: false } })) },
    { weight: 3, arbitrary: lease.map((ID) => ({ leaseGrant: { ID, TTL: 6000n } })) },
    { weight: 2, arbitrary: lease.map((ID) => ({ leaseRevoke: { ID } })) },
    { weight: 1, arbitrary: lease.map((ID) => ({ leaseCheckpoint: { checkpoints: [{ ID, remainingTTL: 9n }] } })) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(0 as const, 1 as const, 2 as const)
        .map((action) => ({ alarm: { action, memberID: 3n, alarm: 1 as const } })),
    },
  )
  .map((request) => InternalRaftRequest.fromPartial(request));

/** A log of such requests, from index 1, with no-ops in between. */
export function logOf(requests: readonly (InternalRaftRequest | undefined)[]): ApplyEntry[] {
  return requests.map((request, i) => ({ index: (i + 1) as Index, term: 1 as Term, request }));
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
