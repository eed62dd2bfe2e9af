/** The etcd v3 services as a plain table: path, codecs, streaming. Knows no transport; server and clients read the same table. */
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import * as rpc from "./gen/rpc.ts";
import type { MessageFns } from "./gen/rpc.ts";

/** Either half of a generated codec; the fields of a missing part take their zero value. */
export interface Codec<T> {
  encode(message: T, writer?: BinaryWriter): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  fromPartial: MessageFns<T>["fromPartial"];
}

/** One method. `path` is the HTTP/2 `:path`. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

function unary<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Method<Request, Response> {
  return { path, request, response, requestStream: false, responseStream: false };
}
function serverStream<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Method<Request, Response> {
  return { path, request, response, requestStream: false, responseStream: true };
}
function bidiStream<Request, Response>(
  path: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Method<Request, Response> {
  return { path, request, response, requestStream: true, responseStream: true };
}

export const kv = {
  range: unary("/etcdserverpb.KV/Range", rpc.RangeRequest, rpc.RangeResponse),
  put: unary("/etcdserverpb.KV/Put", rpc.PutRequest, rpc.PutResponse),
  deleteRange: unary("/etcdserverpb.KV/DeleteRange", rpc.DeleteRangeRequest, rpc.DeleteRangeResponse),
  txn: unary("/etcdserverpb.KV/Txn", rpc.TxnRequest, rpc.TxnResponse),
  compact: unary("/etcdserverpb.KV/Compact", rpc.CompactionRequest, rpc.CompactionResponse),
} as const;

export const watch = {
  watch: bidiStream("/etcdserverpb.Watch/Watch", rpc.WatchRequest, rpc.WatchResponse),
} as const;

export const lease = {
  leaseGrant: unary("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest, rpc.LeaseGrantResponse),
  leaseRevoke: unary("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeRequest, rpc.LeaseRevokeResponse),
  leaseKeepAlive: bidiStream(
    "/etcdserverpb.Lease/LeaseKeepAlive",
    rpc.LeaseKeepAliveRequest,
    rpc.LeaseKeepAliveResponse,
  ),
  leaseTimeToLive: unary(
    "/etcdserverpb.Lease/LeaseTimeToLive",
    rpc.LeaseTimeToLiveRequest,
    rpc.LeaseTimeToLiveResponse,
  ),
  leaseLeases: unary("/etcdserverpb.Lease/LeaseLeases", rpc.LeaseLeasesRequest, rpc.LeaseLeasesResponse),
} as const;

export const cluster = {
  memberAdd: unary("/etcdserverpb.Cluster/MemberAdd", rpc.MemberAddRequest, rpc.MemberAddResponse),
  memberRemove: unary("/etcdserverpb.Cluster/MemberRemove", rpc.MemberRemoveRequest, rpc.MemberRemoveResponse),
  memberUpdate: unary("/etcdserverpb.Cluster/MemberUpdate", rpc.MemberUpdateRequest, rpc.MemberUpdateResponse),
  memberList: unary("/etcdserverpb.Cluster/MemberList", rpc.MemberListRequest, rpc.MemberListResponse),
  memberPromote: unary("/etcdserverpb.Cluster/MemberPromote", rpc.MemberPromoteRequest, rpc.MemberPromoteResponse),
} as const;

export const maintenance = {
  alarm: unary("/etcdserverpb.Maintenance/Alarm", rpc.AlarmRequest, rpc.AlarmResponse),
  status: unary("/etcdserverpb.Maintenance/Status", rpc.StatusRequest, rpc.StatusResponse),
  defragment: unary("/etcdserverpb.Maintenance/Defragment", rpc.DefragmentRequest, rpc.DefragmentResponse),
  hash: unary("/etcdserverpb.Maintenance/Hash", rpc.HashRequest, rpc.HashResponse),
  hashKV: unary("/etcdserverpb.Maintenance/HashKV", rpc.HashKVRequest, rpc.HashKVResponse),
  snapshot: serverStream("/etcdserverpb.Maintenance/Snapshot", rpc.SnapshotRequest, rpc.SnapshotResponse),
  moveLeader: unary("/etcdserverpb.Maintenance/MoveLeader", rpc.MoveLeaderRequest, rpc.MoveLeaderResponse),
  downgrade: unary("/etcdserverpb.Maintenance/Downgrade", rpc.DowngradeRequest, rpc.DowngradeResponse),
} as const;
