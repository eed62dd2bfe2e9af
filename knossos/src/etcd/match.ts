import type { EtcdKv, EtcdRange, EtcdRangeAnswer } from "../models/etcd-types.ts";
import { compareUtf8 } from "./order.ts";

/** The field in which two records of a key differ; undefined if none. */
export function matchKv(expected: EtcdKv, told: EtcdKv, keysOnly = false): string | undefined {
  if (expected.key !== told.key) return "key";
  if (expected.modRevision !== told.modRevision) return "mod revision";
  if (expected.createRevision !== told.createRevision) return "create revision";
  if (expected.version !== told.version) return "version";
  if ((expected.lease ?? "0") !== (told.lease ?? "0")) return "lease";
  if (keysOnly ? told.value !== "" : expected.value !== told.value) return "value";
  return undefined;
}

export function showKv(kv: EtcdKv | undefined): string {
  if (kv === undefined) return "nothing";
  const lease = kv.lease === undefined || kv.lease === "0" ? "" : `, lease ${kv.lease}`;
  return `${kv.key}=${JSON.stringify(kv.value)} (mod ${kv.modRevision}, create ${kv.createRevision}, version ${kv.version}${lease})`;
}

/**
 * Why the answer is not what etcd says about `present` (all keys of the range, ascending); undefined if it is.
 * Order of operations is etcd's: filter by revisions, sort, cut to the limit; `count` is before all of it.
 */
export function matchRange(
  request: EtcdRange,
  present: readonly EtcdKv[],
  answer: EtcdRangeAnswer,
): string | undefined {
  if (request.countOnly !== true) {
    const wrong = matchKvs(request, present, answer);
    if (wrong !== undefined) return wrong;
  } else if (answer.kvs.length !== 0 || answer.more) {
    return "a count-only range answered with keys, or that there are more";
  }
  if (answer.count !== present.length)
    return `range answered count ${answer.count}, but ${present.length} ${present.length === 1 ? "key was" : "keys were"} there`;
  return undefined;
}

function matchKvs(request: EtcdRange, present: readonly EtcdKv[], answer: EtcdRangeAnswer): string | undefined {
  const chosen = present.filter((kv) => passes(request, kv));
  const limit = request.limit ?? 0;
  const length = limit > 0 ? Math.min(limit, chosen.length) : chosen.length;
  const order = sortOrder(request);
  if (order !== undefined) chosen.sort(order);
  for (let i = 0; i < Math.min(length, answer.kvs.length); i++) {
    const told = answer.kvs[i] as EtcdKv;
    const expected = chosen[i] as EtcdKv;
    if (told.key === expected.key) {
      if (matchKv(expected, told, request.keysOnly) !== undefined)
        return `range answered ${showKv(told)}, but there was ${showKv(expected)}`;
      continue;
    }
    // Go's sort is not stable: equal sort keys may come in any order.
    const other =
      order === undefined ? undefined : chosen.find((kv) => kv.key === told.key && order(kv, expected) === 0);
    const repeated = other !== undefined && answer.kvs.findIndex((kv) => kv.key === told.key) < i;
    if (other === undefined || repeated)
      return `range answered ${showKv(told)} at place ${i + 1}, but there it should say ${showKv(expected)}`;
    if (matchKv(other, told, request.keysOnly) !== undefined)
      return `range answered ${showKv(told)}, but there was ${showKv(other)}`;
  }
  if (answer.kvs.length < length) return `range answered without ${showKv(chosen[answer.kvs.length])}`;
  if (answer.kvs.length > length) return `range answered ${showKv(answer.kvs[length])}, which was not there`;
  if (answer.more !== chosen.length > length)
    return `range answered more = ${answer.more}, but ${chosen.length} keys matched and ${length} were answered`;
  return undefined;
}

function passes(request: EtcdRange, kv: EtcdKv): boolean {
  return (
    within(kv.modRevision, request.minModRevision, request.maxModRevision) &&
    within(kv.createRevision, request.minCreateRevision, request.maxCreateRevision)
  );
}

/** 0 and absent mean: no bound. */
function within(value: number, least: number | undefined, most: number | undefined): boolean {
  return (least === undefined || least === 0 || value >= least) && (most === undefined || most === 0 || value <= most);
}

/** undefined: ascending by key, which the keys already are. */
function sortOrder(request: EtcdRange): ((a: EtcdKv, b: EtcdKv) => number) | undefined {
  const sort = request.sort;
  if (sort === undefined || (sort.target === "key" && sort.order === "ascend")) return undefined;
  const sign = sort.order === "descend" ? -1 : 1;
  switch (sort.target) {
    case "key":
      return (a, b) => sign * compareUtf8(a.key, b.key);
    case "version":
      return (a, b) => sign * (a.version - b.version);
    case "create":
      return (a, b) => sign * (a.createRevision - b.createRevision);
    case "mod":
      return (a, b) => sign * (a.modRevision - b.modRevision);
    case "value":
      return (a, b) => sign * compareUtf8(a.value, b.value);
  }
}
