import type { EtcdAnswer, EtcdDelete, EtcdRange, EtcdRangeAnswer, EtcdRequest } from "../models/etcd-types.ts";
import { showKv } from "./match.ts";
import { compareUtf8, inRange } from "./order.ts";
import { showRange } from "./evaluate.ts";

/** Why this answer cannot be to this request, whatever the store held; undefined if it can. `revision`: the header's. */
export function contradictsItself(request: EtcdRequest, answer: EtcdAnswer, revision: number): string | undefined {
  if (answer.f !== request.f) return `a ${request.f} was answered as a ${answer.f}`;
  if (request.f === "txn" && answer.f === "txn") {
    const branch = answer.succeeded ? request.success : request.failure;
    const which = answer.succeeded ? "success" : "failure";
    if (answer.answers.length !== branch.length)
      return `the txn took its ${which} branch of ${branch.length} parts, but answered ${answer.answers.length}`;
    for (let i = 0; i < branch.length; i++) {
      const wrong = contradictsItself(branch[i] as EtcdRequest, answer.answers[i] as EtcdAnswer, revision);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
  if (request.f === "range" && answer.f === "range") return checkRange(request, answer, revision);
  if (request.f === "delete" && answer.f === "delete") return checkDelete(request, answer);
  return undefined;
}

function checkDelete(request: EtcdDelete, answer: Extract<EtcdAnswer, { f: "delete" }>): string | undefined {
  if (answer.deleted < 0 || (isSingle(request) && answer.deleted > 1))
    return `delete of ${showRange(request)} answered ${answer.deleted} deleted`;
  if (request.prevKv === true && (answer.prevKvs?.length ?? 0) !== answer.deleted)
    return `delete of ${showRange(request)} answered ${answer.deleted} deleted, but ${answer.prevKvs?.length ?? 0} previous values`;
  return undefined;
}

function isSingle(request: { readonly rangeEnd?: string }): boolean {
  return request.rangeEnd === undefined || request.rangeEnd === "";
}

function checkRange(request: EtcdRange, answer: EtcdRangeAnswer, revision: number): string | undefined {
  const { kvs, count, more } = answer;
  const limit = request.limit ?? 0;
  const filtered = Boolean(
    request.minModRevision || request.maxModRevision || request.minCreateRevision || request.maxCreateRevision,
  );
  const what = `range of ${showRange(request)}`;
  if (kvs.length > count && request.countOnly !== true)
    return `${what} answered ${kvs.length} keys, but a count of ${count}`;
  if (isSingle(request) && count > 1) return `${what} answered a count of ${count} for one key`;
  if (request.countOnly === true)
    return kvs.length > 0 || more ? `${what} is count-only, but answered keys or more` : undefined;
  if (limit > 0 && kvs.length > limit) return `${what} answered ${kvs.length} keys, over its limit of ${limit}`;
  if (more && (limit === 0 || kvs.length < limit))
    return `${what} answered that there is more, but its limit did not cut it`;
  if (!filtered && more !== kvs.length < count)
    return `${what} answered ${kvs.length} keys, more = ${more} and a count of ${count}`;
  const wanted = request.revision ?? 0;
  if (wanted > revision) return `range at revision ${wanted} was answered under a header of revision ${revision}`;
  return checkRecords(request, answer, wanted > 0 ? wanted : revision, what);
}

function checkRecords(request: EtcdRange, answer: EtcdRangeAnswer, at: number, what: string): string | undefined {
  const sorted = request.sort === undefined || (request.sort.target === "key" && request.sort.order === "ascend");
  let before: string | undefined;
  for (const kv of answer.kvs) {
    if (!inRange(kv.key, request.key, request.rangeEnd))
      return `${what} answered ${showKv(kv)}, which is outside of it`;
    if (kv.modRevision > at) return `${what} answered ${showKv(kv)} at revision ${at}, before that was written`;
    if (sorted && before !== undefined && compareUtf8(before, kv.key) >= 0)
      return `${what} answered ${before} before ${kv.key}; keys ascend`;
    if (request.keysOnly === true && kv.value !== "") return `${what} is keys-only, but answered ${showKv(kv)}`;
    before = kv.key;
  }
  return undefined;
}
