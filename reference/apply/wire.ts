import type * as wire from "../../api/etcd/gen/kv.ts";
import type * as rpc from "../../api/etcd/gen/rpc.ts";
import type { KeyValue } from "../mvcc/types.ts";

/** A response header that knows its revision; the server fills in who and in which term. */
export function header(revision: number): rpc.ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision: BigInt(revision), raftTerm: 0n };
}

export function wireKeyValue(kv: KeyValue): wire.KeyValue {
  return {
    key: kv.key,
    createRevision: BigInt(kv.createRevision),
    modRevision: BigInt(kv.modRevision),
    version: BigInt(kv.version),
    value: kv.value,
    lease: kv.lease,
  };
}

/** An int64 of a request as a number. Beyond 2^53 it is rounded, and stays beyond every revision and count there is. */
export function plain(value: bigint): number {
  return Number(value);
}
