/** gRPC status codes that etcd answers with. */
export const Code = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
} as const;

/** etcd's own codes and texts (api/v3rpc/rpctypes/error.go, 3.6): clients match on both. */
const TEXTS = {
  emptyKey: [Code.invalidArgument, "etcdserver: key is not provided"],
  keyNotFound: [Code.invalidArgument, "etcdserver: key not found"],
  valueProvided: [Code.invalidArgument, "etcdserver: value is provided"],
  leaseProvided: [Code.invalidArgument, "etcdserver: lease is provided"],
  tooManyOps: [Code.invalidArgument, "etcdserver: too many operations in txn request"],
  duplicateKey: [Code.invalidArgument, "etcdserver: duplicate key given in txn request"],
  invalidSortOption: [Code.invalidArgument, "etcdserver: invalid sort option"],
  compacted: [Code.outOfRange, "etcdserver: mvcc: required revision has been compacted"],
  futureRevision: [Code.outOfRange, "etcdserver: mvcc: required revision is a future revision"],
  leaseNotFound: [Code.notFound, "etcdserver: requested lease not found"],
  leaseTtlTooLarge: [Code.outOfRange, "etcdserver: too large lease TTL"],
  watchCanceled: [Code.canceled, "etcdserver: watch canceled"],
  requestTooLarge: [Code.invalidArgument, "etcdserver: request is too large"],
  tooManyRequests: [Code.resourceExhausted, "etcdserver: too many requests"],
  noLeader: [Code.unavailable, "etcdserver: no leader"],
  notLeader: [Code.failedPrecondition, "etcdserver: not leader"],
  leaderChanged: [Code.unavailable, "etcdserver: leader changed"],
  stopped: [Code.unavailable, "etcdserver: server stopped"],
  timeout: [Code.unavailable, "etcdserver: request timed out"],
  timeoutLeaderFail: [Code.unavailable, "etcdserver: request timed out, possibly due to previous leader failure"],
  timeoutApplied: [Code.unavailable, "etcdserver: request timed out, waiting for the applied index took too long"],
  canceled: [Code.canceled, "etcdserver: request canceled"],
  installing: [Code.unavailable, "etcdserver: this member is installing a snapshot from the leader"],
} as const satisfies Record<string, readonly [number, string]>;

/** An expected failure of a request, with its gRPC code. It crosses links between members as code and text. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** A fresh error of the table above. */
export function refusal(kind: keyof typeof TEXTS): RpcError {
  const [code, text] = TEXTS[kind];
  return new RpcError(code, text);
}

/** The text alone, for places where etcd sends it inside a response (a watch's cancel reason). */
export function textOf(kind: keyof typeof TEXTS): string {
  return TEXTS[kind][1];
}

/** For what this version does not do yet: a sentence that says so. */
export function unimplemented(what: string): RpcError {
  return new RpcError(
    Code.unimplemented,
    `etcdserver: ${what} is not supported by this version of the reference store`,
  );
}
