import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "../../api/etcd/gen/rpc.ts";
import { assert } from "../../seams/assert.ts";
import { keyText } from "../mvcc/key-text.ts";
import { spanHas, spanOf, type Span } from "../mvcc/range-end.ts";
import type { MvccStore } from "../mvcc/store.ts";
import type { WriteTxn } from "../mvcc/txn.ts";
import { choosePath } from "./compare.ts";
import { errors, isApplyError } from "./errors.ts";
import { executeRange, type RangeReader } from "./range.ts";
import type { ApplyError } from "./types.ts";
import { header, plain, wireKeyValue } from "./wire.ts";

/** The revision inside a nested transaction's header is never set: etcd fills in the outermost alone. */
const UNSET_REVISION = 0;

/** What would make a put fail, checked before anything is written. */
export function checkPut(store: MvccStore, request: PutRequest): ApplyError | undefined {
  if (
    (request.ignoreValue || request.ignoreLease) &&
    store.index.get(keyText(request.key), store.currentRevision) === undefined
  )
    return errors.keyNotFound;
  return checkLease(store, request);
}

export function checkLease(store: MvccStore, request: PutRequest): ApplyError | undefined {
  return request.lease !== 0n && !store.leases.all.has(request.lease) ? errors.leaseNotFound : undefined;
}

/** A put that `checkPut` has passed. */
export function executePut(store: MvccStore, txn: WriteTxn, request: PutRequest): PutResponse {
  const before =
    request.prevKv || request.ignoreValue || request.ignoreLease
      ? store.index.get(keyText(request.key), txn.readRevision)
      : undefined;
  const previous = before && store.read(before);
  const value = request.ignoreValue && previous ? previous.value : request.value;
  const lease = request.ignoreLease && previous ? previous.lease : request.lease;
  const revision = txn.put(request.key, value, lease);
  return { header: header(revision), prevKv: request.prevKv && previous ? wireKeyValue(previous) : undefined };
}

export function executeDeleteRange(txn: WriteTxn, request: DeleteRangeRequest): DeleteRangeResponse {
  const span = spanOf(request);
  const previous = request.prevKv ? txn.range(span, {}) : undefined;
  assert(typeof previous !== "string", "the present can be read");
  const deleted = txn.deleteRange(span);
  return {
    header: header(txn.readRevision),
    deleted: BigInt(deleted),
    prevKvs: previous ? previous.kvs.map(wireKeyValue) : [],
  };
}

/** A transaction tree with its branches chosen and its operations checked: nothing of it can fail any more. */
export interface CheckedTxn {
  readonly request: TxnRequest;
  readonly path: readonly boolean[];
}

export function checkTxn(store: MvccStore, request: TxnRequest): CheckedTxn | ApplyError {
  const path = choosePath(store, request);
  const failure = checkOperations(store, request, path, { next: 0 }, []);
  return failure ?? { request, path };
}

/** Takes the branches of a path in the order in which `choosePath` made them. */
interface PathCursor {
  next: number;
}

function chosenOps(
  request: TxnRequest,
  path: readonly boolean[],
  cursor: PathCursor,
): { succeeded: boolean; ops: readonly RequestOp[] } {
  const succeeded = path[cursor.next++] === true;
  return { succeeded, ops: succeeded ? request.success : request.failure };
}

function checkOperations(
  store: MvccStore,
  request: TxnRequest,
  path: readonly boolean[],
  cursor: PathCursor,
  deleted: Span[],
): ApplyError | undefined {
  for (const { request: op } of chosenOps(request, path, cursor).ops) {
    let failure: ApplyError | undefined;
    if (op?.$case === "requestRange") failure = checkRange(store, op.requestRange);
    else if (op?.$case === "requestTxn") failure = checkOperations(store, op.requestTxn, path, cursor, deleted);
    else if (op?.$case === "requestDeleteRange") deleted.push(spanOf(op.requestDeleteRange));
    else if (op?.$case === "requestPut") failure = checkPut(store, op.requestPut) ?? checkKept(op.requestPut, deleted);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

/** A put that keeps the old value or lease cannot follow a deletion of its key. Servers refuse such overlaps; a log entry may still hold one. */
function checkKept(request: PutRequest, deleted: readonly Span[]): ApplyError | undefined {
  if (!request.ignoreValue && !request.ignoreLease) return undefined;
  const key = keyText(request.key);
  return deleted.some((span) => spanHas(span, key)) ? errors.keyNotFound : undefined;
}

function checkRange(store: MvccStore, request: RangeRequest): ApplyError | undefined {
  const revision = plain(request.revision);
  if (revision === 0) return undefined;
  if (revision > store.currentRevision) return errors.futureRev;
  // Before any compaction this is -1: then only reads below it, which mean nothing, are refused.
  return revision < store.compactRevision ? errors.compacted : undefined;
}

/** Runs a checked transaction; each operation sees what those before it did. */
export function executeTxn(store: MvccStore, txn: WriteTxn, checked: CheckedTxn): TxnResponse {
  const response = executeBranch(store, txn, txn, checked.request, checked.path, { next: 0 });
  return { ...response, header: header(txn.readRevision) };
}

/** Runs a checked transaction in which every branch only reads. */
export function executeReadTxn(store: MvccStore, checked: CheckedTxn): TxnResponse {
  const response = executeBranch(store, undefined, store, checked.request, checked.path, { next: 0 });
  return { ...response, header: header(store.currentRevision) };
}

function executeBranch(
  store: MvccStore,
  txn: WriteTxn | undefined,
  reader: RangeReader,
  request: TxnRequest,
  path: readonly boolean[],
  cursor: PathCursor,
): TxnResponse {
  const { succeeded, ops } = chosenOps(request, path, cursor);
  const responses: ResponseOp[] = [];
  for (const { request: op } of ops) {
    if (op?.$case === "requestRange") {
      const responseRange = executeRange(reader, op.requestRange);
      assert(!isApplyError(responseRange), "a checked range can be read");
      responses.push({ response: { $case: "responseRange", responseRange } });
    } else if (op?.$case === "requestTxn") {
      responses.push({
        response: { $case: "responseTxn", responseTxn: executeBranch(store, txn, reader, op.requestTxn, path, cursor) },
      });
    } else if (op === undefined) {
      responses.push({ response: undefined });
    } else {
      assert(txn !== undefined, "a transaction that only reads holds no writes");
      responses.push({ response: executeWrite(store, txn, op) });
    }
  }
  return { header: header(UNSET_REVISION), succeeded, responses };
}

type WriteOp = Extract<RequestOp["request"], { $case: "requestPut" | "requestDeleteRange" }>;

function executeWrite(store: MvccStore, txn: WriteTxn, op: WriteOp): ResponseOp["response"] {
  return op.$case === "requestPut"
    ? { $case: "responsePut", responsePut: executePut(store, txn, op.requestPut) }
    : { $case: "responseDeleteRange", responseDeleteRange: executeDeleteRange(txn, op.requestDeleteRange) };
}

/** Whether no branch at any depth writes. */
export function onlyReads(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every(
    ({ request: op }) =>
      op === undefined || op.$case === "requestRange" || (op.$case === "requestTxn" && onlyReads(op.requestTxn)),
  );
}

/** Whether any branch at any depth puts: such transactions are refused when space is out. */
export function mayPut(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].some(
    ({ request: op }) => op?.$case === "requestPut" || (op?.$case === "requestTxn" && mayPut(op.requestTxn)),
  );
}
