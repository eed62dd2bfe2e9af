import {
  RangeRequest_SortOrder as Order,
  RangeRequest_SortTarget as SortTarget,
  type RangeRequest,
  type RangeResponse,
} from "../../api/etcd/gen/rpc.ts";
import { spanOf, type Span } from "../mvcc/range-end.ts";
import type { RangeFailure, RangeOptions, RangeResult } from "../mvcc/store.ts";
import type { KeyValue } from "../mvcc/types.ts";
import { errors } from "./errors.ts";
import type { ApplyError } from "./types.ts";
import { header, plain, wireKeyValue } from "./wire.ts";

/** Where a range reads: the store, or a transaction that sees its own changes. */
export interface RangeReader {
  range(span: Span, options: RangeOptions): RangeResult | RangeFailure;
}

const NO_BYTES = new Uint8Array(0);

/** etcd's Range. `count` is of all keys in the range whatever the limit and the revision bounds; `more` of those that pass the bounds. */
export function executeRange(reader: RangeReader, request: RangeRequest): RangeResponse | ApplyError {
  const limit = plain(request.limit);
  const fetchesAll =
    request.sortOrder !== Order.NONE ||
    request.minModRevision !== 0n ||
    request.maxModRevision !== 0n ||
    request.minCreateRevision !== 0n ||
    request.maxCreateRevision !== 0n;
  const result = reader.range(spanOf(request), {
    revision: plain(request.revision),
    limit: fetchesAll || limit <= 0 ? 0 : limit + 1,
    countOnly: request.countOnly,
  });
  if (result === "future") return errors.futureRev;
  if (result === "compacted") return errors.compacted;
  const found = sorted(bounded(result.kvs, request), request);
  const more = limit > 0 && found.length > limit;
  const kvs = (more ? found.slice(0, limit) : found).map(wireKeyValue);
  if (request.keysOnly) for (const kv of kvs) kv.value = NO_BYTES;
  return { header: header(result.revision), kvs, more, count: BigInt(result.count) };
}

function bounded(kvs: KeyValue[], request: RangeRequest): KeyValue[] {
  const bounds: ((kv: KeyValue) => boolean)[] = [];
  const { maxModRevision, minModRevision, maxCreateRevision, minCreateRevision } = request;
  if (maxModRevision !== 0n) bounds.push((kv) => kv.modRevision <= maxModRevision);
  if (minModRevision !== 0n) bounds.push((kv) => kv.modRevision >= minModRevision);
  if (maxCreateRevision !== 0n) bounds.push((kv) => kv.createRevision <= maxCreateRevision);
  if (minCreateRevision !== 0n) bounds.push((kv) => kv.createRevision >= minCreateRevision);
  return bounds.length === 0 ? kvs : kvs.filter((kv) => bounds.every((within) => within(kv)));
}

/** Keys come in ascending order. Without an order, another target than the key is sorted ascending, and only what the limit let through. */
function sorted(kvs: KeyValue[], request: RangeRequest): KeyValue[] {
  const { sortTarget, sortOrder } = request;
  if (sortTarget === SortTarget.KEY && sortOrder !== Order.DESCEND) return kvs;
  const compare = COMPARATORS[sortTarget];
  if (compare === undefined) return kvs;
  return kvs.sort(sortOrder === Order.DESCEND ? (a, b) => compare(b, a) : compare);
}

type Comparator = (a: KeyValue, b: KeyValue) => number;

const COMPARATORS: { readonly [target: number]: Comparator | undefined } = {
  [SortTarget.KEY]: (a, b) => Buffer.compare(a.key, b.key),
  [SortTarget.VERSION]: (a, b) => a.version - b.version,
  [SortTarget.CREATE]: (a, b) => a.createRevision - b.createRevision,
  [SortTarget.MOD]: (a, b) => a.modRevision - b.modRevision,
  [SortTarget.VALUE]: (a, b) => Buffer.compare(a.value, b.value),
};
