import type {
  EtcdAnswer,
  EtcdCompare,
  EtcdDelete,
  EtcdKv,
  EtcdPut,
  EtcdRange,
  EtcdRangeAnswer,
  EtcdRequest,
  EtcdTxn,
} from "../models/etcd-types.ts";
import type { Touched } from "./eligibility.ts";
import { compareUtf8, inRange } from "./order.ts";
import { matchRange, matchKv, showKv } from "./match.ts";

/** What requests are evaluated against: a store at one revision that remembers its past. */
export interface EtcdView {
  readonly revision: number;
  readonly compactRevision: number;
  /** Where its memory begins: of older revisions, which the store had before the history began, nothing is known. */
  readonly firstRevision: number;
  /** The key as it was at `revision`, which is at most the view's. */
  get(key: string, revision: number): EtcdKv | undefined;
  /** Ascending by key. */
  range(start: string, end: string | undefined, revision: number): EtcdKv[];
  hasLease(id: string): boolean;
}

/** undefined = deleted. All changes of one request share one revision: the view's + 1. */
export type Changes = Map<string, EtcdKv | undefined>;

/** What a request did, or why it could not have answered as it did, and what of the store would have to be otherwise. */
export type Effect =
  | { readonly changes: Changes; readonly impossible?: undefined; readonly touched?: undefined }
  | { readonly changes?: undefined; readonly impossible: string; readonly touched: Touched };

/**
 * etcd's apply of one KV request, checked against the answer where there is one (absent: any answer).
 * Compares of a txn and of all txns nested in it look at the state before any write, as etcd's do.
 */
export function evaluate(view: EtcdView, request: EtcdRequest, answer: EtcdAnswer | undefined): Effect {
  const changes: Changes = new Map();
  const evaluation = new Evaluation(view, changes);
  const impossible = evaluation.request(request, answer, undefined);
  return impossible === undefined ? { changes } : { impossible, touched: evaluation.touched };
}

/** Which branch each txn of a tree takes. */
interface Path {
  readonly succeeded: boolean;
  readonly nested: ReadonlyMap<EtcdTxn, Path>;
}

class Evaluation {
  readonly #view: EtcdView;
  readonly #changes: Changes;
  /** What the part that failed looked at. Parts before it, and the branch taken, agree with the answer as they are. */
  touched: Touched = { ranges: [], leases: [] };
  constructor(view: EtcdView, changes: Changes) {
    this.#view = view;
    this.#changes = changes;
  }

  request(request: EtcdRequest, answer: EtcdAnswer | undefined, path: Path | undefined): string | undefined {
    if (answer !== undefined && answer.f !== request.f) return `a ${request.f} was answered as a ${answer.f}`;
    if (request.f !== "txn")
      this.touched = {
        ranges: [request],
        leases: request.f === "put" && request.lease !== undefined ? [request.lease] : [],
      };
    switch (request.f) {
      case "put":
        return this.#put(request, answer as Extract<EtcdAnswer, { f: "put" }> | undefined);
      case "delete":
        return this.#delete(request, answer as Extract<EtcdAnswer, { f: "delete" }> | undefined);
      case "range":
        return this.#range(request, answer as EtcdRangeAnswer | undefined);
      case "txn":
        return this.#txn(
          request,
          answer as Extract<EtcdAnswer, { f: "txn" }> | undefined,
          path ?? choosePath(this.#view, request),
        );
    }
  }

  #current(key: string): EtcdKv | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#view.get(key, this.#view.revision);
  }

  #currentRange(start: string, end: string | undefined): EtcdKv[] {
    const before = this.#view.range(start, end, this.#view.revision);
    if (this.#changes.size === 0) return before;
    const kvs = before.filter((kv) => !this.#changes.has(kv.key));
    for (const [key, kv] of this.#changes) if (kv !== undefined && inRange(key, start, end)) kvs.push(kv);
    return kvs.sort((a, b) => compareUtf8(a.key, b.key));
  }

  #put(request: EtcdPut, answer: Extract<EtcdAnswer, { f: "put" }> | undefined): string | undefined {
    const before = this.#current(request.key);
    if ((request.ignoreValue === true || request.ignoreLease === true) && before === undefined)
      return `put keeps what ${request.key} had, but ${request.key} is absent`;
    const lease = request.ignoreLease === true ? (before?.lease ?? "0") : (request.lease ?? "0");
    if (lease !== "0" && request.ignoreLease !== true && !this.#view.hasLease(lease))
      return `put attaches lease ${lease}, which does not exist`;
    if (answer !== undefined && request.prevKv === true) {
      const wrong = matchOptional(before, answer.prevKv);
      if (wrong !== undefined)
        return `put of ${request.key} answered that before it there was ${showKv(answer.prevKv)}, but there was ${showKv(before)}`;
    }
    const revision = this.#view.revision + 1;
    this.#changes.set(request.key, {
      key: request.key,
      value: request.ignoreValue === true ? (before as EtcdKv).value : request.value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
      version: (before?.version ?? 0) + 1,
      ...(lease === "0" ? {} : { lease }),
    });
    return undefined;
  }

  #delete(request: EtcdDelete, answer: Extract<EtcdAnswer, { f: "delete" }> | undefined): string | undefined {
    const gone = this.#currentRange(request.key, request.rangeEnd);
    if (answer !== undefined) {
      if (answer.deleted !== gone.length)
        return `delete of ${showRange(request)} answered ${answer.deleted} deleted, but ${gone.length} ${gone.length === 1 ? "key was" : "keys were"} there`;
      if (request.prevKv === true) {
        const told = answer.prevKvs ?? [];
        if (told.length !== gone.length)
          return `delete of ${showRange(request)} answered ${told.length} previous values, but ${gone.length} keys were there`;
        for (let i = 0; i < gone.length; i++) {
          if (matchKv(gone[i] as EtcdKv, told[i] as EtcdKv) !== undefined)
            return `delete answered that it removed ${showKv(told[i])}, but there was ${showKv(gone[i])}`;
        }
      }
    }
    for (const kv of gone) this.#changes.set(kv.key, undefined);
    return undefined;
  }

  #range(request: EtcdRange, answer: EtcdRangeAnswer | undefined): string | undefined {
    const now = this.#view.revision + (this.#changes.size > 0 ? 1 : 0);
    const wanted = request.revision ?? 0;
    if (wanted > now) return `range at revision ${wanted} was answered, but the store was only at ${now}`;
    if (wanted > 0 && wanted < this.#view.compactRevision)
      return `range at revision ${wanted} was answered, but the store was compacted at ${this.#view.compactRevision}`;
    if (answer === undefined) return undefined;
    const past = wanted > 0 && wanted <= this.#view.revision;
    if (past && wanted < this.#view.firstRevision) return undefined;
    const kvs = past
      ? this.#view.range(request.key, request.rangeEnd, wanted)
      : this.#currentRange(request.key, request.rangeEnd);
    return matchRange(request, kvs, answer);
  }

  #txn(request: EtcdTxn, answer: Extract<EtcdAnswer, { f: "txn" }> | undefined, path: Path): string | undefined {
    if (answer !== undefined && answer.succeeded !== path.succeeded) {
      this.touched = { ranges: request.compare, leases: [] };
      const told = answer.succeeded ? "succeeded" : "failed";
      return `txn answered that its compare ${told}, but ${describeCompares(this.#view, request)}`;
    }
    const branch = path.succeeded ? request.success : request.failure;
    if (answer !== undefined && answer.answers.length !== branch.length) {
      this.touched = { ranges: request.compare, leases: [] };
      return `txn answered ${answer.answers.length} parts, but the branch taken has ${branch.length}`;
    }
    for (let i = 0; i < branch.length; i++) {
      const part = branch[i] as EtcdRequest;
      const wrong = this.request(part, answer?.answers[i], part.f === "txn" ? path.nested.get(part) : undefined);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  }
}

function choosePath(view: EtcdView, txn: EtcdTxn): Path {
  const succeeded = txn.compare.every((compare) => holds(view, compare));
  const nested = new Map<EtcdTxn, Path>();
  for (const request of succeeded ? txn.success : txn.failure)
    if (request.f === "txn") nested.set(request, choosePath(view, request));
  return { succeeded, nested };
}

function holds(view: EtcdView, compare: EtcdCompare): boolean {
  const kvs =
    compare.rangeEnd === undefined || compare.rangeEnd === ""
      ? [view.get(compare.key, view.revision)]
      : view.range(compare.key, compare.rangeEnd, view.revision);
  const present = kvs.filter((kv) => kv !== undefined);
  // A key that is absent compares as one whose numbers are all zero; its value compares as nothing at all.
  if (present.length === 0) return compare.target !== "value" && holdsFor(compare, undefined);
  return present.every((kv) => holdsFor(compare, kv));
}

function holdsFor(compare: EtcdCompare, kv: EtcdKv | undefined): boolean {
  const order = compareWith(compare, kv);
  switch (compare.result) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case ">":
      return order > 0;
    case "<":
      return order < 0;
  }
}

function compareWith(compare: EtcdCompare, kv: EtcdKv | undefined): number {
  switch (compare.target) {
    case "version":
      return (kv?.version ?? 0) - Number(compare.operand);
    case "create":
      return (kv?.createRevision ?? 0) - Number(compare.operand);
    case "mod":
      return (kv?.modRevision ?? 0) - Number(compare.operand);
    case "value":
      return compareUtf8(kv?.value ?? "", String(compare.operand));
    case "lease": {
      const difference = BigInt(kv?.lease ?? "0") - BigInt(compare.operand);
      return difference === 0n ? 0 : difference > 0n ? 1 : -1;
    }
  }
}

function describeCompares(view: EtcdView, txn: EtcdTxn): string {
  const wrong = txn.compare.find((compare) => !holds(view, compare)) ?? txn.compare[0];
  if (wrong === undefined) return "it compares nothing and so succeeds";
  return `${wrong.key} was ${showKv(view.get(wrong.key, view.revision))} when it compared ${wrong.target} ${wrong.result} ${String(wrong.operand)}`;
}

function matchOptional(expected: EtcdKv | undefined, told: EtcdKv | undefined): string | undefined {
  if (expected === undefined) return told === undefined ? undefined : "there was nothing";
  return told === undefined ? "there was something" : matchKv(expected, told);
}

export function showRange(request: { readonly key: string; readonly rangeEnd?: string }): string {
  return request.rangeEnd === undefined || request.rangeEnd === ""
    ? request.key
    : `[${request.key}, ${request.rangeEnd === "\0" ? "end" : request.rangeEnd})`;
}
