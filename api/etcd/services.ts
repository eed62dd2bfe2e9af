import * as election from "./gen/election.ts";
import * as lock from "./gen/lock.ts";
import * as rpc from "./gen/rpc.ts";

/** Encodes to and decodes from protobuf wire bytes. `decode` throws on malformed input. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** One gRPC method of the etcd v3 API: its HTTP/2 path, the codecs of both directions and which of them stream. */
export interface Method<I, O> {
  /** `/package.Service/Method`, as it is sent on the wire. */
  readonly path: string;
  readonly request: Codec<I>;
  readonly response: Codec<O>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

type Stream = "unary" | "server" | "both";

function method<I, O>(path: string, request: Codec<I>, response: Codec<O>, stream: Stream = "unary"): Method<I, O> {
  return { path, request, response, requestStream: stream === "both", responseStream: stream !== "unary" };
}

export const KV = {
  Range: method("/etcdserverpb.KV/Range", rpc.RangeRequest, rpc.RangeResponse),
  Put: method("/etcdserverpb.KV/Put", rpc.PutRequest, rpc.PutResponse),
  DeleteRange: method("/etcdserverpb.KV/DeleteRange", rpc.DeleteRangeRequest, rpc.DeleteRangeResponse),
  Txn: method("/etcdserverpb.KV/Txn", rpc.TxnRequest, rpc.TxnResponse),
  Compact: method("/etcdserverpb.KV/Compact", rpc.CompactionRequest, rpc.CompactionResponse),
} as const;

export const Watch = {
  Watch: method("/etcdserverpb.Watch/Watch", rpc.WatchRequest, rpc.WatchResponse, "both"),
} as const;

export const Lease = {
  LeaseGrant: method("/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantRequest, rpc.LeaseGrantResponse),
  LeaseRevoke: method("/etcdserverpb.Lease/LeaseRevoke", rpc.LeaseRevokeRequest, rpc.LeaseRevokeResponse),
  LeaseKeepAlive: method("/etcdserverpb.Lease/LeaseKeepAlive", rpc.LeaseKeepAliveRequest, rpc.LeaseKeepAliveResponse, "both"),
  LeaseTimeToLive: method("/etcdserverpb.Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveRequest, rpc.LeaseTimeToLiveResponse),
  LeaseLeases: method("/etcdserverpb.Lease/LeaseLeases", rpc.LeaseLeasesRequest, rpc.LeaseLeasesResponse),
} as const;

export const Cluster = {
  MemberAdd: method("/etcdserverpb.Cluster/MemberAdd", rpc.MemberAddRequest, rpc.MemberAddResponse),
  MemberRemove: method("/etcdserverpb.Cluster/MemberRemove", rpc.MemberRemoveRequest, rpc.MemberRemoveResponse),
  MemberUpdate: method("/etcdserverpb.Cluster/MemberUpdate", rpc.MemberUpdateRequest, rpc.MemberUpdateResponse),
  MemberList: method("/etcdserverpb.Cluster/MemberList", rpc.MemberListRequest, rpc.MemberListResponse),
  MemberPromote: method("/etcdserverpb.Cluster/MemberPromote", rpc.MemberPromoteRequest, rpc.MemberPromoteResponse),
} as const;

export const Maintenance = {
  Alarm: method("/etcdserverpb.Maintenance/Alarm", rpc.AlarmRequest, rpc.AlarmResponse),
  Status: method("/etcdserverpb.Maintenance/Status", rpc.StatusRequest, rpc.StatusResponse),
  Defragment: method("/etcdserverpb.Maintenance/Defragment", rpc.DefragmentRequest, rpc.DefragmentResponse),
  Hash: method("/etcdserverpb.Maintenance/Hash", rpc.HashRequest, rpc.HashResponse),
  HashKV: method("/etcdserverpb.Maintenance/HashKV", rpc.HashKVRequest, rpc.HashKVResponse),
  Snapshot: method("/etcdserverpb.Maintenance/Snapshot", rpc.SnapshotRequest, rpc.SnapshotResponse, "server"),
  MoveLeader: method("/etcdserverpb.Maintenance/MoveLeader", rpc.MoveLeaderRequest, rpc.MoveLeaderResponse),
  Downgrade: method("/etcdserverpb.Maintenance/Downgrade", rpc.DowngradeRequest, rpc.DowngradeResponse),
} as const;

export const Auth = {
  AuthEnable: method("/etcdserverpb.Auth/AuthEnable", rpc.AuthEnableRequest, rpc.AuthEnableResponse),
  AuthDisable: method("/etcdserverpb.Auth/AuthDisable", rpc.AuthDisableRequest, rpc.AuthDisableResponse),
  AuthStatus: method("/etcdserverpb.Auth/AuthStatus", rpc.AuthStatusRequest, rpc.AuthStatusResponse),
  Authenticate: method("/etcdserverpb.Auth/Authenticate", rpc.AuthenticateRequest, rpc.AuthenticateResponse),
  UserAdd: method("/etcdserverpb.Auth/UserAdd", rpc.AuthUserAddRequest, rpc.AuthUserAddResponse),
  UserGet: method("/etcdserverpb.Auth/UserGet", rpc.AuthUserGetRequest, rpc.AuthUserGetResponse),
  UserList: method("/etcdserverpb.Auth/UserList", rpc.AuthUserListRequest, rpc.AuthUserListResponse),
  UserDelete: method("/etcdserverpb.Auth/UserDelete", rpc.AuthUserDeleteRequest, rpc.AuthUserDeleteResponse),
  UserChangePassword: method("/etcdserverpb.Auth/UserChangePassword", rpc.AuthUserChangePasswordRequest, rpc.AuthUserChangePasswordResponse),
  UserGrantRole: method("/etcdserverpb.Auth/UserGrantRole", rpc.AuthUserGrantRoleRequest, rpc.AuthUserGrantRoleResponse),
  UserRevokeRole: method("/etcdserverpb.Auth/UserRevokeRole", rpc.AuthUserRevokeRoleRequest, rpc.AuthUserRevokeRoleResponse),
  RoleAdd: method("/etcdserverpb.Auth/RoleAdd", rpc.AuthRoleAddRequest, rpc.AuthRoleAddResponse),
  RoleGet: method("/etcdserverpb.Auth/RoleGet", rpc.AuthRoleGetRequest, rpc.AuthRoleGetResponse),
  RoleList: method("/etcdserverpb.Auth/RoleList", rpc.AuthRoleListRequest, rpc.AuthRoleListResponse),
  RoleDelete: method("/etcdserverpb.Auth/RoleDelete", rpc.AuthRoleDeleteRequest, rpc.AuthRoleDeleteResponse),
  RoleGrantPermission: method("/etcdserverpb.Auth/RoleGrantPermission", rpc.AuthRoleGrantPermissionRequest, rpc.AuthRoleGrantPermissionResponse),
  RoleRevokePermission: method("/etcdserverpb.Auth/RoleRevokePermission", rpc.AuthRoleRevokePermissionRequest, rpc.AuthRoleRevokePermissionResponse),
} as const;

export const Lock = {
  Lock: method("/v3lockpb.Lock/Lock", lock.LockRequest, lock.LockResponse),
  Unlock: method("/v3lockpb.Lock/Unlock", lock.UnlockRequest, lock.UnlockResponse),
} as const;

export const Election = {
  Campaign: method("/v3electionpb.Election/Campaign", election.CampaignRequest, election.CampaignResponse),
  Proclaim: method("/v3electionpb.Election/Proclaim", election.ProclaimRequest, election.ProclaimResponse),
  Leader: method("/v3electionpb.Election/Leader", election.LeaderRequest, election.LeaderResponse),
  Observe: method("/v3electionpb.Election/Observe", election.LeaderRequest, election.LeaderResponse, "server"),
  Resign: method("/v3electionpb.Election/Resign", election.ResignRequest, election.ResignResponse),
} as const;

/** Every service of the etcd v3 API, by the name etcd gives it. */
export const services = { KV, Watch, Lease, Cluster, Maintenance, Auth, Lock, Election } as const;

/** The gRPC library's view of a service: the shape `@grpc/grpc-js` calls ServiceDefinition. */
export interface GrpcMethod<I, O> {
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(message: I): Buffer;
  requestDeserialize(bytes: Uint8Array): I;
  responseSerialize(message: O): Buffer;
  responseDeserialize(bytes: Uint8Array): O;
}

/** Turns one row of the table into the shape grpc-js takes. Values of `bytes` fields are views of the received buffer. */
export function grpcMethod<I, O>(name: string, m: Method<I, O>): GrpcMethod<I, O> {
  return {
    path: m.path,
    originalName: name,
    requestStream: m.requestStream,
    responseStream: m.responseStream,
    requestSerialize: (message) => asBuffer(m.request.encode(message).finish()),
    requestDeserialize: (bytes) => m.request.decode(bytes),
    responseSerialize: (message) => asBuffer(m.response.encode(message).finish()),
    responseDeserialize: (bytes) => m.response.decode(bytes),
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
