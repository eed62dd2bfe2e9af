import type {
  EtcdAnswer,
  EtcdCompare,
  EtcdInput,
  EtcdKv,
  EtcdLeaseKeepAlive,
  EtcdOutput,
  EtcdRange,
  EtcdRequest,
  WatchEvent,
  WatchInput,
  WatchMessage,
} from "knossos-ts";
import type {
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "../../api/etcd/gen/rpc.ts";
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  CompactionRequest,
  LeaseGrantRequest,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseRevokeRequest,
  LeaseTimeToLiveRequest,
  RangeRequest_SortOrder,
  RangeRequest_SortTarget,
  WatchCreateRequest_FilterType,
  WatchRequest,
  WatchResponse,
} from "../../api/etcd/gen/rpc.ts";
import { type Event, Event_EventType, type KeyValue } from "../../api/etcd/gen/kv.ts";
import { kv, lease, type Method } from "../../api/etcd/services.ts";

/** An operation that cannot be put into bytes: a lease id that is no number, a revision that is no integer. */
export class InvalidInput extends Error {
  override readonly name = "InvalidInput";
}

/** An answer that a history cannot hold: no header, a number past 2^53, bytes that are not UTF-8. */
export class UnreadableAnswer extends Error {
  override readonly name = "UnreadableAnswer";
}

/** A unary call made ready: bytes out, and how to read the bytes that come back. */
export interface WireCall {
  readonly path: string;
  readonly request: Uint8Array;
  read(answer: Uint8Array): EtcdOutput;
}

const utf8Out = new TextEncoder();
// fatal: two different keys must not become one; ignoreBOM: a leading U+FEFF is part of the value.
const utf8In = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Turns an operation into a call. Throws InvalidInput. Keepalives are streams: `keepAliveBytes`. */
export function wireCall(input: Exclude<EtcdInput, EtcdLeaseKeepAlive>): WireCall {
  switch (input.f) {
    case "put":
      return call(kv.put, putRequest(input), (answer) => ({
        ...putAnswer(answer),
        revision: revisionOf(answer.header),
      }));
    case "delete":
      return call(kv.deleteRange, deleteRequest(input), (answer) => ({
        ...deleteAnswer(answer),
        revision: revisionOf(answer.header),
      }));
    case "range":
      return call(kv.range, rangeRequest(input), (answer) => ({
        ...rangeAnswer(answer),
        revision: revisionOf(answer.header),
      }));
    case "txn":
      return call(kv.txn, txnRequest(input), (answer) => ({
        ...txnAnswer(answer),
        revision: revisionOf(answer.header),
      }));
    case "compact":
      return call(
        kv.compact,
        CompactionRequest.fromPartial({
          revision: integer(input.revision, "revision"),
          physical: input.physical ?? false,
        }),
        (answer) => ({
          f: "compact",
          revision: revisionOf(answer.header),
        }),
      );
    case "lease-grant":
      return call(
        lease.leaseGrant,
        LeaseGrantRequest.fromPartial({ ID: leaseId(input.id), TTL: integer(input.ttlSeconds, "ttlSeconds") }),
        (answer) => ({
          f: "lease-grant",
          revision: revisionOf(answer.header),
          id: String(answer.ID),
          ttlSeconds: narrow(answer.TTL, "TTL"),
        }),
      );
    case "lease-revoke":
      return call(lease.leaseRevoke, LeaseRevokeRequest.fromPartial({ ID: leaseId(input.id) }), (answer) => ({
        f: "lease-revoke",
        revision: revisionOf(answer.header),
      }));
    case "lease-time-to-live":
      return call(
        lease.leaseTimeToLive,
        LeaseTimeToLiveRequest.fromPartial({ ID: leaseId(input.id), keys: input.keys ?? false }),
        (answer) => ({
          f: "lease-time-to-live",
          revision: revisionOf(answer.header),
          ttlSeconds: narrow(answer.TTL, "TTL"),
          grantedSeconds: narrow(answer.grantedTTL, "grantedTTL"),
          ...(answer.keys.length === 0 ? {} : { keys: answer.keys.map(text) }),
        }),
      );
  }
}

/** True if the operation can change nothing, whatever becomes of it. */
export function isReadOnly(input: EtcdInput): boolean {
  switch (input.f) {
    case "range":
    case "lease-time-to-live":
      return true;
    case "txn":
      return [...input.success, ...input.failure].every(isReadOnly);
    default:
      return false;
  }
}

export function keepAliveBytes(input: EtcdLeaseKeepAlive): Uint8Array {
  return LeaseKeepAliveRequest.encode(LeaseKeepAliveRequest.fromPartial({ ID: leaseId(input.id) })).finish();
}

/** `ttlSeconds` is 0 for a lease that is not there: etcd answers so instead of failing the stream. */
export function keepAliveOutput(answer: Uint8Array): EtcdOutput {
  const message = decoded(LeaseKeepAliveResponse, answer);
  return { f: "lease-keepalive", revision: revisionOf(message.header), ttlSeconds: narrow(message.TTL, "TTL") };
}

export function watchBytes(input: WatchInput): Uint8Array {
  const filters: WatchCreateRequest_FilterType[] = [];
  if (input.noPut === true) filters.push(WatchCreateRequest_FilterType.NOPUT);
  if (input.noDelete === true) filters.push(WatchCreateRequest_FilterType.NODELETE);
  const createRequest = {
    key: bytes(input.key),
    rangeEnd: bytes(input.rangeEnd ?? ""),
    startRevision: integer(input.startRevision ?? 0, "startRevision"),
    prevKv: input.prevKv ?? false,
    progressNotify: input.progressNotify ?? false,
    fragment: input.fragment ?? false,
    filters,
  };
  return WatchRequest.encode(
    WatchRequest.fromPartial({ requestUnion: { $case: "createRequest", createRequest } }),
  ).finish();
}

export function watchMessage(answer: Uint8Array): WatchMessage {
  const message = decoded(WatchResponse, answer);
  const told = message.created || message.canceled || message.events.length > 0;
  return {
    revision: revisionOf(message.header),
    ...(message.created ? { created: true } : {}),
    ...(message.canceled ? { canceled: true } : {}),
    ...(message.cancelReason === "" ? {} : { cancelReason: message.cancelReason }),
    ...(message.compactRevision === 0n ? {} : { compactRevision: narrow(message.compactRevision, "compact_revision") }),
    ...(message.fragment ? { fragment: true } : {}),
    ...(told ? {} : { progress: true }),
    events: message.events.map(watchEvent),
  };
}

function call<Request, Response>(
  method: Method<Request, Response>,
  request: Request,
  read: (answer: Response) => EtcdOutput,
): WireCall {
  return {
    path: method.path,
    request: method.request.encode(request).finish(),
    read: (answer) => read(decoded(method.response, answer)),
  };
}

function decoded<T>(codec: { decode(answer: Uint8Array): T }, answer: Uint8Array): T {
  try {
    return codec.decode(answer);
  } catch (error) {
    throw new UnreadableAnswer("the answer is not the protobuf message that the method promises", { cause: error });
  }
}

function putRequest(input: Extract<EtcdRequest, { f: "put" }>): PutRequest {
  return {
    key: bytes(input.key),
    value: bytes(input.value),
    lease: leaseId(input.lease ?? "0"),
    prevKv: input.prevKv ?? false,
    ignoreValue: input.ignoreValue ?? false,
    ignoreLease: input.ignoreLease ?? false,
  };
}

function deleteRequest(input: Extract<EtcdRequest, { f: "delete" }>): DeleteRangeRequest {
  return { key: bytes(input.key), rangeEnd: bytes(input.rangeEnd ?? ""), prevKv: input.prevKv ?? false };
}

const sortTargets = {
  key: RangeRequest_SortTarget.KEY,
  version: RangeRequest_SortTarget.VERSION,
  create: RangeRequest_SortTarget.CREATE,
  mod: RangeRequest_SortTarget.MOD,
  value: RangeRequest_SortTarget.VALUE,
} as const;
const sortOrders = { ascend: RangeRequest_SortOrder.ASCEND, descend: RangeRequest_SortOrder.DESCEND } as const;

function rangeRequest(input: EtcdRange): RangeRequest {
  return {
    key: bytes(input.key),
    rangeEnd: bytes(input.rangeEnd ?? ""),
    limit: integer(input.limit ?? 0, "limit"),
    revision: integer(input.revision ?? 0, "revision"),
    sortOrder: input.sort === undefined ? RangeRequest_SortOrder.NONE : sortOrders[input.sort.order],
    sortTarget: input.sort === undefined ? RangeRequest_SortTarget.KEY : sortTargets[input.sort.target],
    serializable: input.serializable ?? false,
    keysOnly: input.keysOnly ?? false,
    countOnly: input.countOnly ?? false,
    minModRevision: integer(input.minModRevision ?? 0, "minModRevision"),
    maxModRevision: integer(input.maxModRevision ?? 0, "maxModRevision"),
    minCreateRevision: integer(input.minCreateRevision ?? 0, "minCreateRevision"),
    maxCreateRevision: integer(input.maxCreateRevision ?? 0, "maxCreateRevision"),
  };
}

function txnRequest(input: Extract<EtcdRequest, { f: "txn" }>): TxnRequest {
  return {
    compare: input.compare.map(compareRequest),
    success: input.success.map(requestOp),
    failure: input.failure.map(requestOp),
  };
}

function requestOp(input: EtcdRequest): RequestOp {
  switch (input.f) {
    case "put":
      return { request: { $case: "requestPut", requestPut: putRequest(input) } };
    case "delete":
      return { request: { $case: "requestDeleteRange", requestDeleteRange: deleteRequest(input) } };
    case "range":
      return { request: { $case: "requestRange", requestRange: rangeRequest(input) } };
    case "txn":
      return { request: { $case: "requestTxn", requestTxn: txnRequest(input) } };
  }
}

const compareResults = {
  "=": Compare_CompareResult.EQUAL,
  "!=": Compare_CompareResult.NOT_EQUAL,
  ">": Compare_CompareResult.GREATER,
  "<": Compare_CompareResult.LESS,
} as const;

function compareRequest(input: EtcdCompare): Compare {
  const to = { key: bytes(input.key), rangeEnd: bytes(input.rangeEnd ?? ""), result: compareResults[input.result] };
  switch (input.target) {
    case "version":
      return {
        ...to,
        target: Compare_CompareTarget.VERSION,
        targetUnion: { $case: "version", version: integer(input.operand, "version") },
      };
    case "create":
      return {
        ...to,
        target: Compare_CompareTarget.CREATE,
        targetUnion: { $case: "createRevision", createRevision: integer(input.operand, "create revision") },
      };
    case "mod":
      return {
        ...to,
        target: Compare_CompareTarget.MOD,
        targetUnion: { $case: "modRevision", modRevision: integer(input.operand, "mod revision") },
      };
    case "value":
      return {
        ...to,
        target: Compare_CompareTarget.VALUE,
        targetUnion: { $case: "value", value: bytes(String(input.operand)) },
      };
    case "lease":
      return {
        ...to,
        target: Compare_CompareTarget.LEASE,
        targetUnion: { $case: "lease", lease: leaseId(String(input.operand)) },
      };
  }
}

function putAnswer(answer: PutResponse): EtcdAnswer {
  return { f: "put", ...(answer.prevKv === undefined ? {} : { prevKv: keyValue(answer.prevKv) }) };
}

function deleteAnswer(answer: DeleteRangeResponse): EtcdAnswer {
  return {
    f: "delete",
    deleted: narrow(answer.deleted, "deleted"),
    ...(answer.prevKvs.length === 0 ? {} : { prevKvs: answer.prevKvs.map(keyValue) }),
  };
}

function rangeAnswer(answer: RangeResponse): EtcdAnswer {
  return { f: "range", kvs: answer.kvs.map(keyValue), count: narrow(answer.count, "count"), more: answer.more };
}

function txnAnswer(answer: TxnResponse): EtcdAnswer {
  return { f: "txn", succeeded: answer.succeeded, answers: answer.responses.map(nestedAnswer) };
}

function nestedAnswer(answer: ResponseOp): EtcdAnswer {
  const response = answer.response;
  switch (response?.$case) {
    case "responsePut":
      return putAnswer(response.responsePut);
    case "responseDeleteRange":
      return deleteAnswer(response.responseDeleteRange);
    case "responseRange":
      return rangeAnswer(response.responseRange);
    case "responseTxn":
      return txnAnswer(response.responseTxn);
    default:
      throw new UnreadableAnswer("an answer within the txn is of no known kind");
  }
}

function watchEvent(event: Event): WatchEvent {
  if (event.kv === undefined) throw new UnreadableAnswer("an event of the watch has no kv");
  if (event.type !== Event_EventType.PUT && event.type !== Event_EventType.DELETE)
    throw new UnreadableAnswer(`an event of the watch has the unknown type ${String(event.type)}`);
  return {
    type: event.type === Event_EventType.PUT ? "put" : "delete",
    kv: keyValue(event.kv),
    ...(event.prevKv === undefined ? {} : { prevKv: keyValue(event.prevKv) }),
  };
}

function keyValue(from: KeyValue): EtcdKv {
  return {
    key: text(from.key),
    value: text(from.value),
    createRevision: narrow(from.createRevision, "create_revision"),
    modRevision: narrow(from.modRevision, "mod_revision"),
    version: narrow(from.version, "version"),
    ...(from.lease === 0n ? {} : { lease: String(from.lease) }),
  };
}

function revisionOf(header: ResponseHeader | undefined): number {
  if (header === undefined) throw new UnreadableAnswer("the answer has no header");
  return narrow(header.revision, "header.revision");
}

/** The one place where an int64 becomes a number. */
function narrow(value: bigint, field: string): number {
  const narrowed = Number(value);
  if (!Number.isSafeInteger(narrowed))
    throw new UnreadableAnswer(`${field} is ${value}, past what a number holds exactly`);
  return narrowed;
}

function integer(value: number | string, field: string): bigint {
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw new InvalidInput(`${field} must be an integer, not ${JSON.stringify(value)}`);
  return BigInt(value);
}

function leaseId(decimal: string): bigint {
  const id = /^-?\d{1,19}$/.test(decimal) ? BigInt(decimal) : undefined;
  if (id === undefined || BigInt.asIntN(64, id) !== id)
    throw new InvalidInput(`a lease id must be a 64-bit integer in decimal, not ${JSON.stringify(decimal)}`);
  return id;
}

function bytes(value: string): Uint8Array {
  return utf8Out.encode(value);
}

function text(value: Uint8Array): string {
  try {
    return utf8In.decode(value);
  } catch (error) {
    throw new UnreadableAnswer(
      `the bytes ${Buffer.from(value).toString("hex").slice(0, 40)} are not UTF-8, so a history cannot hold them`,
      { cause: error },
    );
  }
}
