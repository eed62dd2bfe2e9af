import type { EtcdAnswer, EtcdKv, EtcdRequest } from "../models/etcd-types.ts";
import { matchKv, showKv } from "./match.ts";
import { contradictsItself } from "./self-check.ts";
import { inRange, lowerBound, upperBound } from "./order.ts";
import type { EtcdOperation } from "./requests.ts";
import { executed, isRequest, isWhole } from "./requests.ts";
import { KeyCheck } from "./key-check.ts";
import type { KeyWorld } from "./key-check.ts";
import type { Contradiction, KeyFacts, Need, Point, Source } from "./key-facts.ts";
import { countIn, firstAfter, lastUpTo, pointIndexUpTo, showPoint } from "./key-facts.ts";

interface RangeDelete {
  readonly key: string;
  readonly rangeEnd: string | undefined;
  readonly revision: number;
}

export interface SeenEvent {
  readonly revision: number;
  readonly key: string;
  /** undefined: deleted. */
  readonly kv: EtcdKv | undefined;
  readonly prevKv?: EtcdKv;
  readonly stream: number;
}

/**
 * What the answers say about each key, whatever order the operations took: they rule out most ways to fill a missing revision,
 * and refute by themselves when they disagree. All of it follows from header revisions and records alone.
 */
export class Facts {
  readonly #keys: readonly string[];
  readonly #facts = new Map<string, KeyFacts>();
  readonly #gaps: readonly number[];
  readonly #writers: ReadonlyMap<number, EtcdOperation>;
  readonly #base: number;
  /** Deletes of a range that did not tell which keys they met. */
  readonly #rangeDeletes: RangeDelete[] = [];
  #rangeDeleteRevisions: readonly number[] = [];
  readonly #required = new Map<number, Set<string>>();
  readonly #absentAt = new Map<number, string[]>();
  readonly needs: Need[] = [];
  contradiction: Contradiction | undefined;

  constructor(
    keys: readonly string[],
    base: number,
    gaps: readonly number[],
    writers: ReadonlyMap<number, EtcdOperation>,
  ) {
    this.#keys = keys;
    this.#base = base;
    this.#gaps = gaps;
    this.#writers = writers;
    for (const key of keys)
      this.#facts.set(key, { pointAt: new Map(), points: [], absents: [], absentBy: new Map(), puts: [], deletes: [] });
  }

  of(key: string): KeyFacts {
    const facts = this.#facts.get(key);
    if (facts === undefined) throw new Error(`key ${key} is not among the keys of this history`);
    return facts;
  }

  /** `revision`: the header's. `writes`: it made that revision. */
  addOperation(operation: EtcdOperation, revision: number, writes: boolean): void {
    const { input, output } = operation;
    if (output === undefined || !isRequest(input)) return;
    const by = { operation: operation.op };
    const before = writes ? revision - 1 : revision;
    this.#addCompares(input, output as EtcdAnswer, before, by);
    const wrong = contradictsItself(input, output as EtcdAnswer, revision);
    if (wrong !== undefined) this.#refute("impossible-answer", `operation ${operation.op}: ${wrong}`, by);
    const parts = [...executed(input, output as EtcdAnswer)];
    for (const [request, answer] of parts) {
      if (request.f === "put" && answer.f === "put") {
        this.of(request.key).puts.push(revision);
        if (answer.prevKv !== undefined) this.#see(answer.prevKv, before, false, by);
        else if (request.prevKv === true) this.#seeAbsent(request.key, before, by);
      } else if (request.f === "delete" && answer.f === "delete") {
        this.#addDelete(request.key, request.rangeEnd, answer.deleted, answer.prevKvs, revision, before, by);
        // Unless the same txn put some of it again, none of it is left.
        const again = parts.some(([other]) => other.f === "put" && inRange(other.key, request.key, request.rangeEnd));
        if (writes && !again) this.#seeOthersAbsent(request.key, request.rangeEnd, [], revision, by);
      } else if (request.f === "range" && answer.f === "range") {
        const asked = request.revision ?? 0;
        if (asked > before) continue;
        const at = asked > 0 ? asked : before;
        for (const kv of answer.kvs) if (kv.modRevision <= at) this.#see(kv, at, request.keysOnly === true, by);
        if (isWhole(request, answer) && !writes)
          this.#seeOthersAbsent(request.key, request.rangeEnd, answer.kvs, at, by);
      }
    }
  }

  #addCompares(input: EtcdRequest, output: EtcdAnswer, at: number, by: Source): void {
    if (input.f !== "txn" || output.f !== "txn" || !output.succeeded) return;
    for (const compare of input.compare) {
      const absent =
        compare.result === "=" &&
        compare.operand === 0 &&
        (compare.target === "create" || compare.target === "mod" || compare.target === "version");
      if (absent && (compare.rangeEnd === undefined || compare.rangeEnd === "")) this.#seeAbsent(compare.key, at, by);
    }
  }

  #addDelete(
    key: string,
    rangeEnd: string | undefined,
    deleted: number,
    prevKvs: readonly EtcdKv[] | undefined,
    revision: number,
    before: number,
    by: Source,
  ): void {
    const single = rangeEnd === undefined || rangeEnd === "";
    if (deleted === 0) {
      if (single) this.#seeAbsent(key, before, by);
      else if (before === revision) this.#seeOthersAbsent(key, rangeEnd, [], before, by);
      return;
    }
    for (const kv of prevKvs ?? []) if (kv.modRevision <= before) this.#see(kv, before, false, by);
    if (single) this.of(key).deletes.push(revision);
    else if (prevKvs !== undefined && prevKvs.length === deleted)
      for (const kv of prevKvs) this.of(kv.key).deletes.push(revision);
    else this.#rangeDeletes.push({ key, rangeEnd, revision });
  }

  addEvent(event: SeenEvent): void {
    const by = { stream: event.stream };
    if (event.kv === undefined) {
      this.of(event.key).deletes.push(event.revision);
      this.#seeAbsent(event.key, event.revision, by);
    } else {
      this.#see(event.kv, event.revision, false, by);
    }
    if (event.prevKv !== undefined) this.#see(event.prevKv, event.revision - 1, false, by);
  }

  addInitial(kv: EtcdKv): void {
    this.#see(kv, this.#base, false, {});
  }

  #refute(kind: string, message: string, ...sources: readonly Source[]): void {
    if (this.contradiction !== undefined) return;
    const operations = new Set<number>();
    const streams = new Set<number>();
    for (const source of sources) {
      if (source.operation !== undefined) operations.add(source.operation);
      if (source.stream !== undefined) streams.add(source.stream);
    }
    this.contradiction = {
      kind,
      message,
      operations: [...operations],
      ...(streams.size > 0 ? { streams: [...streams] } : {}),
    };
  }

  #see(kv: EtcdKv, until: number, keysOnly: boolean, by: Source): void {
    const facts = this.of(kv.key);
    if (
      kv.createRevision > kv.modRevision ||
      kv.version < 1 ||
      (kv.version === 1) !== (kv.createRevision === kv.modRevision)
    ) {
      this.#refute(
        "impossible-record",
        `${showKv(kv)} cannot be: version 1 and mod = create go together, and create never exceeds mod`,
        by,
      );
      return;
    }
    const known = facts.pointAt.get(kv.modRevision);
    if (known === undefined) {
      facts.pointAt.set(kv.modRevision, {
        revision: kv.modRevision,
        create: kv.createRevision,
        version: kv.version,
        kv,
        keysOnly,
        until,
        by,
        untilBy: by,
      });
    } else {
      if (known.create !== kv.createRevision || known.version !== kv.version) {
        this.#refute(
          "disagreeing-records",
          `${kv.key} at revision ${kv.modRevision} was answered as create ${known.create}, version ${known.version} and as create ${kv.createRevision}, version ${kv.version}`,
          known.by,
          by,
        );
      } else if (known.kv === undefined || known.keysOnly) {
        known.kv = kv;
        known.keysOnly = keysOnly;
      } else if (!keysOnly && matchKv(known.kv, kv) !== undefined) {
        this.#refute(
          "disagreeing-records",
          `${kv.key} at revision ${kv.modRevision} was answered as ${showKv(known.kv)} and as ${showKv(kv)}`,
          known.by,
          by,
        );
      }
      if (until > known.until) {
        known.until = until;
        known.untilBy = by;
      }
    }
    if (kv.createRevision < kv.modRevision && !facts.pointAt.has(kv.createRevision)) {
      facts.pointAt.set(kv.createRevision, {
        revision: kv.createRevision,
        create: kv.createRevision,
        version: 1,
        keysOnly: true,
        until: kv.createRevision,
        by,
        untilBy: by,
      });
    }
  }

  #seeAbsent(key: string, at: number, by: Source): void {
    const facts = this.of(key);
    if (facts.absentBy.has(at)) return;
    facts.absentBy.set(at, by);
    facts.absents.push(at);
    const others = this.#absentAt.get(at);
    if (others === undefined) this.#absentAt.set(at, [key]);
    else others.push(key);
  }

  #seeOthersAbsent(key: string, rangeEnd: string | undefined, kvs: readonly EtcdKv[], at: number, by: Source): void {
    if (rangeEnd === undefined || rangeEnd === "") {
      if (kvs.length === 0) this.#seeAbsent(key, at, by);
      return;
    }
    const present = new Set(kvs.map((kv) => kv.key));
    for (let i = lowerBound(this.#keys, key); i < this.#keys.length; i++) {
      const other = this.#keys[i] as string;
      if (!inRange(other, key, rangeEnd)) break;
      if (!present.has(other)) this.#seeAbsent(other, at, by);
    }
  }

  /** To be called once, after everything was added. Sets `contradiction` if the facts disagree among themselves. */
  finish(): void {
    this.#rangeDeletes.sort((a, b) => a.revision - b.revision);
    this.#rangeDeleteRevisions = this.#rangeDeletes.map((one) => one.revision);
    for (const key of this.#keys) {
      const facts = this.of(key);
      facts.points = [...facts.pointAt.values()].sort((a, b) => a.revision - b.revision);
      facts.absents.sort((a, b) => a - b);
      facts.puts.sort((a, b) => a - b);
      facts.deletes.sort((a, b) => a - b);
      for (const { revision } of facts.points) {
        if (this.#writers.has(revision)) continue;
        const required = this.#required.get(revision);
        if (required === undefined) this.#required.set(revision, new Set([key]));
        else required.add(key);
      }
    }
    const world: KeyWorld = {
      base: this.#base,
      gaps: this.#gaps,
      writers: this.#writers,
      needs: this.needs,
      mayDelete: (key, after, before) => this.#mayDelete(key, this.of(key), after, before),
      refute: (kind, message, ...sources) => this.#refute(kind, message, ...sources),
    };
    for (const key of this.#keys) {
      new KeyCheck(key, this.of(key), world).run();
      if (this.contradiction !== undefined) return;
    }
  }

  /** Whether some revision in (after, before) may have deleted the key. */
  #mayDelete(key: string, facts: KeyFacts, after: number, before: number): boolean {
    if (
      after < this.#base ||
      countIn(facts.deletes, after, before - 1) > 0 ||
      countIn(this.#gaps, after, before - 1) > 0
    )
      return true;
    return this.#rangeDeleted(key, after) < before;
  }

  /** The first acknowledged delete of a range with the key in it after this revision. */
  #rangeDeleted(key: string, after: number): number {
    for (let i = upperBound(this.#rangeDeleteRevisions, after); i < this.#rangeDeletes.length; i++) {
      const { key: start, rangeEnd, revision } = this.#rangeDeletes[i] as RangeDelete;
      if (inRange(key, start, rangeEnd)) return revision;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Keys that the writer of this missing revision must have put. */
  requiredPuts(revision: number): ReadonlySet<string> {
    return this.#required.get(revision) ?? NONE;
  }

  /** The record that a key was seen to have got at this revision; undefined if not seen, or seen without its value. */
  seenAt(
    key: string,
    revision: number,
  ):
    | { readonly kv?: EtcdKv; readonly create: number; readonly version: number; readonly keysOnly: boolean }
    | undefined {
    return this.of(key).pointAt.get(revision);
  }

  /** False only if no order has a put of the key (of this value, where given) at this missing revision. */
  allowsPut(key: string, revision: number, value?: string): boolean {
    const facts = this.of(key);
    const index = pointIndexUpTo(facts, revision - 1);
    const before = facts.points[index];
    const after = facts.points[index + 1];
    if (before !== undefined && before.until >= revision) return false;
    if (after !== undefined && after.revision === revision)
      return value === undefined || after.kv === undefined || after.keysOnly || after.kv.value === value;
    if (after !== undefined && before !== undefined && after.create <= before.revision) {
      if (after.version - before.version - 1 - countIn(facts.puts, before.revision, after.revision - 1) <= 0)
        return false;
    }
    const absent = firstAfter(facts.absents, revision - 1);
    if (absent === revision) return false;
    if (absent !== Number.POSITIVE_INFINITY && (after === undefined || absent < after.revision))
      return this.#mayDelete(key, facts, revision, absent + 1);
    return true;
  }

  /** False only if no order has a deletion of the key at this missing revision. */
  allowsDelete(key: string, revision: number): boolean {
    const facts = this.of(key);
    const index = pointIndexUpTo(facts, revision - 1);
    const before = facts.points[index];
    const after = facts.points[index + 1];
    if (before !== undefined && before.until >= revision) return false;
    if (after !== undefined && (after.revision === revision || after.create < revision)) return false;
    return true;
  }

  /** If the key is there at `revision`: before which revision something must have deleted it, by what is known of it next. */
  goneBefore(key: string, revision: number): number {
    const facts = this.of(key);
    const next = facts.points[pointIndexUpTo(facts, revision) + 1];
    const anew = next !== undefined && next.create > revision ? next.create : Number.POSITIVE_INFINITY;
    return Math.min(firstAfter(facts.absents, revision - 1) + 1, anew);
  }

  /** Whether an acknowledged writer or a watched event in (after, before) deleted the key, if it was there. */
  deletedBetween(key: string, after: number, before: number): boolean {
    return countIn(this.of(key).deletes, after, before - 1) > 0 || this.#rangeDeleted(key, after) < before;
  }

  /** Whether the next known writer of the key after `revision` deleted it, so that it must have been there. */
  deletedNext(key: string, revision: number): boolean {
    const { puts, deletes } = this.of(key);
    return firstAfter(deletes, revision) < firstAfter(puts, revision);
  }

  /** Acknowledged puts of the key in (after, before). */
  putsBetween(key: string, after: number, before: number): number {
    return countIn(this.of(key).puts, after, before - 1);
  }

  /** What was seen at this revision and is not so (`gone`: the key should not be there): `get` tells the state just after `changes` made it. */
  disagreement(
    revision: number,
    changes: ReadonlyMap<string, EtcdKv | undefined>,
    get: (key: string) => EtcdKv | undefined,
  ): { readonly key: string; readonly reason: string; readonly by: Source; readonly gone?: true } | undefined {
    for (const [key, kv] of changes) {
      const point = this.of(key).pointAt.get(revision);
      if (point === undefined || kv === undefined) continue;
      const same =
        point.create === kv.createRevision &&
        point.version === kv.version &&
        (point.kv === undefined || matchKv(kv, point.kv, point.keysOnly) === undefined);
      if (!same) return { key, reason: `${showPoint(key, point)} was seen, but it became ${showKv(kv)}`, by: point.by };
    }
    for (const key of this.#absentAt.get(revision) ?? []) {
      const kv = get(key);
      if (kv !== undefined)
        return {
          key,
          reason: `${key} was not there at revision ${revision}, but it was ${showKv(kv)}`,
          by: this.of(key).absentBy.get(revision) ?? {},
          gone: true,
        };
    }
    return undefined;
  }

  /** The last revision before this one at which the key's record (or that there was none) was seen; -1 if it never was. */
  lastKnown(key: string, revision: number): number {
    const facts = this.of(key);
    let known = lastUpTo(facts.absents, revision - 1) ?? -1;
    for (let i = pointIndexUpTo(facts, revision - 1); i >= 0; i--) {
      const point = facts.points[i] as Point;
      // Of some only the version was seen.
      if (point.kv === undefined || point.keysOnly) continue;
      known = Math.max(known, Math.min(point.until, revision - 1));
      break;
    }
    return known;
  }

  /** Missing revisions in (after, before). */
  gapsBetween(after: number, before: number): number {
    return countIn(this.#gaps, after, before - 1);
  }

  /** The next thing that is known of the key after `revision`: when it is seen absent or created anew, and when it is touched by a known writer. */
  nextGone(key: string, revision: number): { readonly gone: number; readonly touched: number } {
    const facts = this.of(key);
    const after = facts.points[pointIndexUpTo(facts, revision) + 1];
    const anew = after !== undefined && after.create > revision ? after.create : Number.POSITIVE_INFINITY;
    const gone = Math.min(firstAfter(facts.absents, revision), anew);
    if (gone === Number.POSITIVE_INFINITY) return { gone, touched: gone };
    return {
      gone,
      touched: Math.min(
        firstAfter(facts.puts, revision),
        firstAfter(facts.deletes, revision),
        this.#rangeDeleted(key, revision),
      ),
    };
  }
}

const NONE: ReadonlySet<string> = new Set();
