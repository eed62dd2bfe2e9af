import {
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
  type Compare,
  type TxnRequest,
} from "../../api/etcd/gen/rpc.ts";
import { spanOf } from "../mvcc/range-end.ts";
import type { MvccStore } from "../mvcc/store.ts";

/**
 * Which branch every transaction of a tree takes, outermost first, then in the order of the operations of the chosen branch.
 * All of them are decided on the state before the transaction (etcd: `compareToPath`).
 */
export function choosePath(store: MvccStore, txn: TxnRequest): boolean[] {
  const succeeded = txn.compare.every((compare) => holds(store, compare));
  const path = [succeeded];
  for (const op of succeeded ? txn.success : txn.failure) {
    if (op.request?.$case === "requestTxn") path.push(...choosePath(store, op.request.requestTxn));
  }
  return path;
}

/** A comparison over a range holds if it holds for each key of it; with no key, everything compares as zero but a value, which fails. */
function holds(store: MvccStore, compare: Compare): boolean {
  const span = spanOf(compare);
  let some = false;
  let all = true;
  store.index.visit(span, store.currentRevision, (key, meta) => {
    some = true;
    let order: number;
    if (compare.target === Target.VALUE) {
      order = Buffer.compare(store.read(meta).value, expectedValue(compare));
    } else if (compare.target === Target.LEASE) {
      order = sign(store.leases.leaseOf(key), expectedNumber(compare));
    } else {
      const actual =
        compare.target === Target.CREATE ? meta.created : compare.target === Target.MOD ? meta.main : meta.version;
      order = sign(actual, expectedNumber(compare));
    }
    all = matches(compare.result, order);
    return all;
  });
  if (some) return all;
  return compare.target !== Target.VALUE && matches(compare.result, sign(0, expectedNumber(compare)));
}

function matches(result: Compare["result"], order: number): boolean {
  if (result === Result.EQUAL) return order === 0;
  if (result === Result.NOT_EQUAL) return order !== 0;
  if (result === Result.GREATER) return order > 0;
  if (result === Result.LESS) return order < 0;
  // etcd: an unknown comparison always holds.
  return true;
}

function sign(actual: number | bigint, expected: bigint): number {
  return actual < expected ? -1 : actual > expected ? 1 : 0;
}

const NO_BYTES = new Uint8Array(0);

/** A target without its value compares with zero, and one of the wrong kind too. */
function expectedValue({ targetUnion }: Compare): Uint8Array {
  return targetUnion?.$case === "value" ? targetUnion.value : NO_BYTES;
}

function expectedNumber({ target, targetUnion }: Compare): bigint {
  switch (targetUnion?.$case) {
    case "version":
      return target === Target.VERSION ? targetUnion.version : 0n;
    case "createRevision":
      return target === Target.CREATE ? targetUnion.createRevision : 0n;
    case "modRevision":
      return target === Target.MOD ? targetUnion.modRevision : 0n;
    case "lease":
      return target === Target.LEASE ? targetUnion.lease : 0n;
    default:
      return 0n;
  }
}
