import type { OperationError } from "knossos-ts";

/** What a call ended with, as the connection saw it. */
export interface CallFailure {
  /** gRPC code name, or a word of ours (`INVALID_INPUT`, `UNREADABLE_ANSWER`). */
  readonly code: string;
  readonly message: string;
  /** Whether the channel was connected, or the request handed to a transport, at any moment between invocation and failure. */
  readonly connected: boolean;
}

export interface FailedOutcome {
  readonly type: "fail" | "info";
  readonly error: OperationError;
}

interface DefiniteRow {
  readonly code: string;
  readonly message: RegExp;
  /** Why nothing can have happened. */
  readonly why: string;
}

/**
 * Errors after which a write certainly did not take effect: refused before it was proposed, or refused by apply without effect.
 * Code and text must both match, because gRPC libraries and proxies use the same codes for accidents on the way.
 * Everything that is not here is in doubt: deadline, cancel, reset, `server stopped`, `leader changed`, `request timed out`, and
 * `database space exceeded`, which etcd says after it has applied the write.
 */
export const definiteErrors: readonly DefiniteRow[] = [
  { code: "INVALID_ARGUMENT", message: /^etcdserver: key is not provided$/, why: "checked before it is proposed" },
  {
    code: "INVALID_ARGUMENT",
    message: /^etcdserver: (value|lease) is provided$/,
    why: "checked before it is proposed",
  },
  {
    code: "INVALID_ARGUMENT",
    message: /^etcdserver: too many operations in txn request$/,
    why: "checked before it is proposed",
  },
  {
    code: "INVALID_ARGUMENT",
    message: /^etcdserver: duplicate key given in txn request$/,
    why: "checked before it is proposed",
  },
  { code: "INVALID_ARGUMENT", message: /^etcdserver: invalid sort option$/, why: "checked before it is proposed" },
  { code: "INVALID_ARGUMENT", message: /^etcdserver: request is too large$/, why: "checked before it is proposed" },
  {
    code: "INVALID_ARGUMENT",
    message: /^etcdserver: key not found$/,
    why: "apply checks every put of a txn before the first takes effect",
  },
  { code: "RESOURCE_EXHAUSTED", message: /^etcdserver: too many requests$/, why: "refused before it is proposed" },
  {
    code: "OUT_OF_RANGE",
    message: /^etcdserver: mvcc: required revision has been compacted$/,
    why: "apply checks ranges before a txn takes effect; a compaction behind the last one is none",
  },
  {
    code: "OUT_OF_RANGE",
    message: /^etcdserver: mvcc: required revision is a future revision$/,
    why: "as for compacted",
  },
  { code: "OUT_OF_RANGE", message: /^etcdserver: too large lease TTL$/, why: "checked before it is proposed" },
  { code: "NOT_FOUND", message: /^etcdserver: requested lease not found$/, why: "apply looks the lease up first" },
  { code: "FAILED_PRECONDITION", message: /^etcdserver: lease already exists$/, why: "apply looks the lease up first" },
  { code: "PERMISSION_DENIED", message: /^etcdserver: permission denied$/, why: "apply checks permission first" },
  { code: "UNAUTHENTICATED", message: /^etcdserver: invalid auth token$/, why: "checked before it is proposed" },
  {
    code: "UNIMPLEMENTED",
    message: /^(unknown (service|method) |The server does not implement the method )/,
    why: "no handler ran",
  },
  { code: "INVALID_INPUT", message: /./, why: "ours: the request could not be put into bytes, so none left" },
  {
    code: "NOT_SENT",
    message: /./,
    why: "ours: the signal was aborted, or the client closed, before the request was handed to gRPC",
  },
];

/** Tells fail from info. `readOnly`: the operation can have no effect, so any error on it is definite. */
export function outcomeOf(failure: CallFailure, readOnly: boolean): FailedOutcome {
  const definite =
    readOnly ||
    neverLeft(failure) ||
    definiteErrors.some((row) => row.code === failure.code && row.message.test(failure.message));
  return { type: definite ? "fail" : "info", error: { code: failure.code, message: failure.message, definite } };
}

/** UNAVAILABLE says "perhaps it was processed" as soon as there was a connection to process it on. */
function neverLeft(failure: CallFailure): boolean {
  return failure.code === "UNAVAILABLE" && !failure.connected;
}
