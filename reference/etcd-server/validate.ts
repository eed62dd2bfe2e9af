import { RangeRequest_SortOrder, RangeRequest_SortTarget } from "../../api/etcd/gen/rpc.ts";
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from "../../api/etcd/gen/rpc.ts";
import { refusal } from "./errors.ts";

/** etcd's checks of a request before it enters the log (v3rpc/key.go), in etcd's order: the first failure is the answer. */
export function checkRange(r: RangeRequest): void {
  if (r.key.length === 0) throw refusal("emptyKey");
  if (r.sortOrder < RangeRequest_SortOrder.NONE || r.sortOrder > RangeRequest_SortOrder.DESCEND)
    throw refusal("invalidSortOption");
  if (r.sortTarget < RangeRequest_SortTarget.KEY || r.sortTarget > RangeRequest_SortTarget.VALUE)
    throw refusal("invalidSortOption");
}

export function checkPut(r: PutRequest): void {
  if (r.key.length === 0) throw refusal("emptyKey");
  if (r.ignoreValue && r.value.length > 0) throw refusal("valueProvided");
  if (r.ignoreLease && r.lease !== 0n) throw refusal("leaseProvided");
}

export function checkDelete(r: DeleteRangeRequest): void {
  if (r.key.length === 0) throw refusal("emptyKey");
}

/** @param maxOps operations one side (or the compares) may have; a nested txn has what its parent leaves. */
export function checkTxn(r: TxnRequest, maxOps: number): void {
  checkTxnShape(r, maxOps);
  checkOverlaps(r.success);
  checkOverlaps(r.failure);
}

function checkTxnShape(r: TxnRequest, maxOps: number): void {
  const ops = Math.max(r.compare.length, r.success.length, r.failure.length);
  if (ops > maxOps) throw refusal("tooManyOps");
  for (const compare of r.compare) if (compare.key.length === 0) throw refusal("emptyKey");
  for (const op of r.success) checkOp(op, maxOps - ops);
  for (const op of r.failure) checkOp(op, maxOps - ops);
}

function checkOp(op: RequestOp, maxOps: number): void {
  switch (op.request?.$case) {
    case "requestRange":
      checkRange(op.request.requestRange);
      return;
    case "requestPut":
      checkPut(op.request.requestPut);
      return;
    case "requestDeleteRange":
      checkDelete(op.request.requestDeleteRange);
      return;
    case "requestTxn":
      checkTxnShape(op.request.requestTxn, maxOps);
      return;
    default:
      throw refusal("keyNotFound");
  }
}

interface Interval {
  readonly start: Buffer;
  /** undefined: the one key `start`. */
  readonly end: Buffer | undefined;
}
interface Overlaps {
  readonly puts: ReadonlyMap<string, Buffer>;
  readonly deletes: readonly Interval[];
}

/** Two puts of one key, or a put that meets a delete, in one txn: refused, unless only one of then and else can run. */
function checkOverlaps(ops: readonly RequestOp[]): Overlaps {
  const deletes: Interval[] = [];
  for (const { request } of ops) {
    if (request?.$case !== "requestDeleteRange") continue;
    const { key, rangeEnd } = request.requestDeleteRange;
    deletes.push({ start: Buffer.from(key), end: rangeEnd.length === 0 ? undefined : Buffer.from(rangeEnd) });
  }
  const puts = new Map<string, Buffer>();
  const admit = (name: string, key: Buffer, mayRepeat: boolean) => {
    if (puts.has(name) && !mayRepeat) throw refusal("duplicateKey");
    if (deletes.some((interval) => contains(interval, key))) throw refusal("duplicateKey");
    puts.set(name, key);
  };
  for (const { request } of ops) {
    if (request?.$case !== "requestTxn") continue;
    const then = checkOverlaps(request.requestTxn.success);
    const otherwise = checkOverlaps(request.requestTxn.failure);
    for (const [name, key] of then.puts) admit(name, key, false);
    for (const [name, key] of otherwise.puts) admit(name, key, then.puts.has(name));
    deletes.push(...then.deletes, ...otherwise.deletes);
  }
  for (const { request } of ops) {
    if (request?.$case !== "requestPut") continue;
    const key = Buffer.from(request.requestPut.key);
    admit(key.toString("latin1"), key, false);
  }
  return { puts, deletes };
}

function contains({ start, end }: Interval, key: Buffer): boolean {
  if (end === undefined) return start.equals(key);
  return start.compare(key) <= 0 && key.compare(end) < 0;
}

/** True if no branch of the txn can write: it is served as a read, outside the log. */
export function isReadOnly(r: TxnRequest): boolean {
  return [...r.success, ...r.failure].every(({ request }) => request?.$case === "requestRange");
}

/** A read-only txn whose ranges all say serializable needs no round to the leader. (etcd also lets one without any range through: we do not.) */
export function isSerializable(r: TxnRequest): boolean {
  const ops = [...r.success, ...r.failure];
  return (
    ops.length > 0 && ops.every(({ request }) => request?.$case === "requestRange" && request.requestRange.serializable)
  );
}
