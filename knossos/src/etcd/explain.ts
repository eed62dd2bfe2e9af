import type { Budget } from "../budget.ts";
import type { EtcdAnswer, EtcdInput, EtcdKv, EtcdRequest } from "../models/etcd-types.ts";
import type { Changes } from "./evaluate.ts";
import { evaluate } from "./evaluate.ts";
import type { Facts, Need } from "./facts.ts";
import { matchKv } from "./match.ts";
import { inRange } from "./order.ts";
import type { Candidate, EtcdProblem } from "./problem.ts";
import { deletesRanges } from "./problem.ts";
import type { Deadlines } from "./realtime.ts";
import type { EtcdOperation } from "./requests.ts";
import { isRequest, possible } from "./requests.ts";
import { Timeline } from "./timeline.ts";

/** What watchers saw: a second opinion on every revision that they cover. */
export interface Observer {
  /** Why these changes at this revision are not what was seen; undefined if they are. */
  check(revision: number, changes: Changes, before: (key: string) => EtcdKv | undefined): { readonly message: string; readonly streams: readonly number[]; readonly keys: readonly string[] } | undefined;
}

export interface Failure {
  /** How far the deepest attempt came. */
  readonly revision: number;
  readonly kind: string;
  readonly reason: string;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
  readonly prefix: readonly number[];
  readonly state: string;
}

export type Explanation =
  | { readonly result: "explained"; readonly order: readonly number[]; readonly timeline: Timeline; readonly steps: number; readonly gaps: number }
  /** `certain`: every way to fill the missing revisions was tried. */
  | { readonly result: "refuted"; readonly failure: Failure; readonly certain: boolean; readonly steps: number }
  | { readonly result: "budget"; readonly failure: Failure | undefined; readonly steps: number };

type Touches = (key: string) => boolean;

interface Option {
  /** undefined: a foreign writer. */
  readonly candidate: number | undefined;
  readonly changes: Changes;
}

interface Frame {
  readonly revision: number;
  readonly mark: number;
  readonly orderLength: number;
  readonly options: readonly Option[];
  next: number;
  current: Option | undefined;
  /** Frames whose other choices might mend what failed under this one. */
  readonly conflicts: Set<number>;
  /** Keys on which it depended that other candidates do not fit here. */
  readonly rejected: readonly Touches[];
}

interface Setback {
  readonly kind: string;
  readonly reason: string;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
  readonly touches: Touches;
}

/**
 * Walks the revisions upwards. Where an acknowledged write made the revision there is nothing to choose; where nobody says who did,
 * each operation in doubt, lease expiry or (if there are any) foreign writer that fits is tried, with conflict-directed backjumping
 * (Prosser 1993): a failure that concerns some keys only goes back to a choice that can touch those keys.
 * Every answer on the way is evaluated in full, so an explanation is a verified order.
 */
export class Explainer {
  readonly #problem: EtcdProblem;
  readonly #facts: Facts;
  readonly #deadlines: Deadlines;
  readonly #observer: Observer | undefined;
  readonly #budget: Budget;
  readonly #top: number;
  readonly #timeline: Timeline;
  readonly #slots: ReadonlyMap<number, readonly EtcdOperation[]>;
  readonly #serializable = new Map<number, EtcdOperation[]>();
  readonly #eligible = new Map<number, { readonly candidates: readonly number[]; readonly keys: ReadonlySet<string>; readonly all: boolean }>();
  readonly #needsAt = new Map<number, { readonly need: Need; readonly later: number }[]>();
  readonly #usedBy: (number | undefined)[];
  readonly #order: number[] = [];
  readonly #frames: Frame[] = [];
  readonly #gaps: readonly number[];
  #deepest: Failure | undefined;
  #steps = 0;

  constructor(problem: EtcdProblem, options: { readonly facts: Facts; readonly deadlines: Deadlines; readonly gaps: readonly number[]; readonly top: number; readonly serializable: boolean; readonly observer?: Observer; readonly budget: Budget }) {
    this.#problem = problem;
    this.#facts = options.facts;
    this.#deadlines = options.deadlines;
    this.#observer = options.observer;
    this.#budget = options.budget;
    this.#top = options.top;
    this.#gaps = options.gaps;
    this.#timeline = new Timeline(problem.keys, problem.initial);
    this.#usedBy = problem.candidates.map(() => undefined);
    this.#slots = sortSlots(problem);
    if (options.serializable) {
      for (const operation of problem.serializable) {
        const revision = operation.output?.revision ?? 0;
        const list = this.#serializable.get(revision);
        if (list === undefined) this.#serializable.set(revision, [operation]);
        else list.push(operation);
      }
    }
    for (const gap of this.#gaps) this.#eligible.set(gap, this.#eligibleAt(gap));
    this.#placeNeeds();
  }

  /** Candidates that no answer and no clock rules out at this gap, whatever the other gaps hold. */
  #eligibleAt(gap: number): { readonly candidates: readonly number[]; readonly keys: ReadonlySet<string>; readonly all: boolean } {
    const keys = new Set<string>();
    const chosen: number[] = [];
    let all = this.#problem.foreignWriters;
    const deadline = this.#deadlines.of(gap);
    this.#problem.candidates.forEach((candidate, index) => {
      if (candidate.invoked > deadline || (candidate.only !== undefined && candidate.only !== gap) || !this.#fits(candidate, gap)) return;
      chosen.push(index);
      for (const key of candidate.writes) keys.add(key);
      if (deletesRanges(candidate.input)) all = true;
    });
    return { candidates: chosen, keys, all };
  }

  #fits(candidate: Candidate, gap: number): boolean {
    for (const key of this.#facts.requiredPuts(gap)) if (!candidate.writes.has(key)) return false;
    const { input } = candidate;
    if (input.f === "put") return this.#facts.allowsPut(input.key, gap, input.ignoreValue === true ? undefined : input.value);
    if (input.f === "delete" && !deletesRanges(input)) return this.#facts.allowsDelete(input.key, gap);
    if (input.f === "lease-revoke") return [...candidate.writes].some((key) => this.#facts.allowsDelete(key, gap));
    if (input.f === "txn") return this.#branchFits(input.success, gap) || this.#branchFits(input.failure, gap);
    return true;
  }

  #branchFits(branch: readonly EtcdRequest[], gap: number): boolean {
    if (branch.some((request) => request.f === "txn")) return true;
    const puts = new Set<string>();
    for (const request of branch) {
      if (request.f !== "put") continue;
      if (!this.#facts.allowsPut(request.key, gap, request.ignoreValue === true ? undefined : request.value)) return false;
      puts.add(request.key);
    }
    for (const key of this.#facts.requiredPuts(gap)) if (!puts.has(key)) return false;
    return puts.size > 0 || branch.some((request) => request.f === "delete");
  }

  #placeNeeds(): void {
    for (const need of this.#facts.needs) {
      const where = this.#gaps.filter((gap) => gap > need.from && gap < need.to && this.#mayTouch(gap, (key) => key === need.key));
      where.forEach((gap, index) => {
        const entry = { need, later: where.length - index - 1 };
        const list = this.#needsAt.get(gap);
        if (list === undefined) this.#needsAt.set(gap, [entry]);
        else list.push(entry);
      });
    }
  }

  #mayTouch(gap: number, touches: Touches): boolean {
    const eligible = this.#eligible.get(gap);
    if (eligible === undefined) return false;
    if (eligible.all) return true;
    for (const key of eligible.keys) if (touches(key)) return true;
    return false;
  }

  run(): Explanation {
    let revision = this.#problem.initial.revision;
    let setback = this.#checkSlot(revision);
    while (true) {
      if ((++this.#steps & 255) === 0 && this.#budget.spent) return { result: "budget", failure: this.#deepest, steps: this.#steps };
      if (setback === undefined && revision === this.#top) {
        return { result: "explained", order: this.#order, timeline: this.#timeline, steps: this.#steps, gaps: this.#gaps.length };
      }
      if (setback === undefined) {
        revision++;
        const writer = this.#problem.writers.get(revision);
        if (writer !== undefined) {
          setback = this.#write(writer, revision) ?? this.#checkSlot(revision);
          continue;
        }
        this.#frames.push(this.#openFrame(revision));
      } else {
        this.#note(revision, setback);
        if (!this.#jumpBack(this.#relevant(setback.touches))) return this.#refuted();
      }
      const next = this.#nextOption();
      if (next === undefined) return this.#refuted();
      revision = next.revision;
      setback = next.setback;
    }
  }

  #refuted(): Explanation {
    const failure = this.#deepest ?? { revision: 0, kind: "nonlinearizable", reason: "no order explains the answers", operations: [], prefix: [], state: "" };
    return { result: "refuted", failure, certain: !this.#problem.foreignWriters || this.#gaps.length === 0, steps: this.#steps };
  }

  /** Frames that have, or might have had, a choice which touches these keys. */
  #relevant(touches: Touches): Set<number> {
    const found = new Set<number>();
    if (this.#problem.foreignWriters) return found;
    this.#frames.forEach((frame, index) => {
      if (this.#mayTouch(frame.revision, touches)) found.add(index);
    });
    return found;
  }

  /** Drops the frames above the youngest that can matter. False: none can. */
  #jumpBack(conflicts: Set<number>): boolean {
    // With foreign writers every revision may have touched every key: plain backtracking, without the sets.
    const target = this.#problem.foreignWriters ? this.#frames.length - 1 : Math.max(-1, ...conflicts);
    if (target < 0) {
      this.#frames.length = 0;
      return false;
    }
    while (this.#frames.length - 1 > target) this.#closeTop();
    const frame = this.#frames[target] as Frame;
    conflicts.delete(target);
    for (const index of conflicts) frame.conflicts.add(index);
    return true;
  }

  #closeTop(): void {
    const frame = this.#frames.pop() as Frame;
    if (frame.current?.candidate !== undefined) this.#usedBy[frame.current.candidate] = undefined;
  }

  /** Takes the next choice of the top frame, or of an older one that matters where the top has none left. */
  #nextOption(): { readonly revision: number; readonly setback: Setback | undefined } | undefined {
    while (true) {
      const index = this.#frames.length - 1;
      const frame = this.#frames[index];
      if (frame === undefined) return undefined;
      if (frame.current?.candidate !== undefined) this.#usedBy[frame.current.candidate] = undefined;
      this.#timeline.undoTo(frame.mark);
      this.#order.length = frame.orderLength;
      const option = frame.options[frame.next++];
      frame.current = option;
      if (option !== undefined) {
        if (option.candidate !== undefined) this.#usedBy[option.candidate] = index;
        return { revision: frame.revision, setback: this.#take(frame.revision, option) };
      }
      if (frame.options.length === 0) this.#note(frame.revision, this.#nobody(frame.revision));
      this.#frames.pop();
      for (const touches of frame.rejected) for (const index of this.#relevant(touches)) frame.conflicts.add(index);
      if (!this.#jumpBack(frame.conflicts)) return undefined;
    }
  }

  #take(revision: number, option: Option): Setback | undefined {
    const candidate = option.candidate === undefined ? undefined : this.#problem.candidates[option.candidate];
    if (candidate !== undefined) this.#grantDoubtful(candidate.input, revision);
    this.#timeline.commit(option.changes);
    if (candidate?.input.f === "lease-revoke") this.#timeline.revoke(candidate.input.id);
    if (candidate?.operation !== undefined) this.#order.push(candidate.operation.op);
    return this.#observe(revision, option.changes, candidate?.operation) ?? this.#checkSlot(revision);
  }

  #nobody(revision: number): Setback {
    const required = [...this.#facts.requiredPuts(revision)];
    const what = required.length === 0 ? "" : ` (it put ${required.join(", ")})`;
    const doubt = this.#problem.candidates.length;
    return {
      kind: "unexplained-revision",
      reason: `revision ${revision} was reached${what}, but no acknowledged operation made it and none of the ${doubt} operations in doubt and lease expiries can have`,
      operations: (this.#problem.answered.get(revision) ?? this.#problem.answered.get(revision + 1) ?? []).slice(0, 2).map((operation) => operation.op),
      touches: () => true,
    };
  }

  #openFrame(revision: number): Frame {
    const conflicts = new Set<number>();
    const rejected: Touches[] = [];
    const options: Option[] = [];
    const tried = new Set<string>();
    const eligible = this.#eligible.get(revision);
    const forced = this.#forcedKeys(revision);
    if (forced.size > 0) rejected.push((key) => forced.has(key));
    for (const index of eligible?.candidates ?? []) {
      const candidate = this.#problem.candidates[index] as Candidate;
      const usedBy = this.#usedBy[index];
      if (usedBy !== undefined) {
        conflicts.add(usedBy);
        continue;
      }
      // Two open operations with the same input are interchangeable; the earlier one is good wherever the later is.
      if (candidate.only === undefined && tried.has(candidate.text)) continue;
      const changes = this.#changesOf(candidate, revision);
      const wrong = changes === undefined || changes.size === 0 || !this.#agrees(changes, revision) || !coversAll(forced, changes);
      if (wrong) {
        rejected.push(deletesRanges(candidate.input) ? () => true : (key) => candidate.writes.has(key) || candidate.reads.has(key));
        continue;
      }
      tried.add(candidate.text);
      options.push({ candidate: index, changes });
    }
    this.#sortOptions(options, revision);
    if (this.#problem.foreignWriters) options.push(...this.#foreignOptions(revision));
    return { revision, mark: this.#timeline.mark(), orderLength: this.#order.length, options, next: 0, current: undefined, conflicts, rejected };
  }

  /** Those that were invoked shortly before the revision came are the likeliest; a fixed one is certain if it fits. */
  #sortOptions(options: Option[], revision: number): void {
    const deadline = this.#deadlines.of(revision);
    const distance = (option: Option): number => {
      const candidate = this.#problem.candidates[option.candidate ?? 0] as Candidate;
      if (candidate.only !== undefined) return -1;
      return Number.isFinite(deadline) ? deadline - candidate.invoked : candidate.invoked;
    };
    options.sort((a, b) => distance(a) - distance(b));
  }

  /** Keys that must be put here, or their versions cannot come out any more. */
  #forcedKeys(revision: number): ReadonlySet<string> {
    const forced = new Set<string>();
    for (const { need, later } of this.#needsAt.get(revision) ?? []) {
      const now = this.#timeline.get(need.key, revision)?.version ?? 0;
      const hidden = need.versionBefore - now - this.#facts.putsBetween(need.key, revision, need.to);
      if (hidden <= later) continue;
      forced.add(need.key);
    }
    return forced;
  }

  #changesOf(candidate: Candidate, revision: number): Changes | undefined {
    const { input } = candidate;
    if (input.f === "lease-revoke") {
      if (!this.#timeline.hasLease(input.id)) return undefined;
      return new Map(this.#timeline.leaseKeys(input.id).map((key) => [key, undefined]));
    }
    if (!isRequest(input)) return undefined;
    const mark = this.#timeline.mark();
    this.#grantDoubtful(input, revision);
    const { changes } = evaluate(this.#timeline, input, undefined);
    this.#timeline.undoTo(mark);
    return changes;
  }

  /** A lease whose grant is in doubt was granted, if a put that is known to have worked attaches it. */
  #grantDoubtful(input: EtcdInput, revision: number): void {
    if (!isRequest(input) || this.#problem.doubtfulGrants.size === 0) return;
    for (const request of possible(input)) {
      const grant = request.f === "put" && request.lease !== undefined ? this.#problem.doubtfulGrants.get(request.lease) : undefined;
      if (grant === undefined || grant.invoked > this.#deadlines.of(revision)) continue;
      if (grant.input.f === "lease-grant" && this.#timeline.grantDoubtful(grant.input.id)) this.#order.push(grant.op);
    }
  }

  /** What was seen of the keys at this revision and around it. */
  #agrees(changes: Changes, revision: number): boolean {
    for (const [key, kv] of changes) {
      if (kv === undefined) {
        if (!this.#facts.allowsDelete(key, revision)) return false;
        continue;
      }
      const seen = this.#facts.seenAt(key, revision);
      if (seen === undefined) {
        if (!this.#facts.allowsPut(key, revision)) return false;
      } else if (seen.create !== kv.createRevision || seen.version !== kv.version) {
        return false;
      } else if (seen.kv !== undefined && !seen.keysOnly && matchKv(kv, seen.kv) !== undefined) {
        return false;
      }
    }
    for (const key of this.#facts.requiredPuts(revision)) if (changes.get(key) === undefined) return false;
    return true;
  }

  /**
   * A foreign writer put what was seen here. What was only inferred (a version that needs one more put, a key that is seen no more) it did
   * here if no later revision can, first; as an alternative it did all of it here already.
   */
  #foreignOptions(revision: number): Option[] {
    const late: Changes = new Map();
    for (const key of this.#facts.requiredPuts(revision)) {
      const seen = this.#facts.seenAt(key, revision);
      if (seen !== undefined) late.set(key, seen.kv ?? this.#blank(key, revision, seen.create, seen.version));
    }
    const early: Changes = new Map(late);
    for (const { need, later } of this.#needsAt.get(revision) ?? []) {
      const before = this.#timeline.get(need.key, revision);
      if (before === undefined || early.has(need.key)) continue;
      const hidden = need.versionBefore - before.version - this.#facts.putsBetween(need.key, revision, need.to);
      const put = { ...before, modRevision: revision, version: before.version + 1 };
      if (hidden > 0) early.set(need.key, put);
      if (hidden > later) late.set(need.key, put);
    }
    for (const key of this.#problem.keys) {
      if (early.has(key) || this.#timeline.get(key, revision) === undefined || !this.#facts.allowsDelete(key, revision)) continue;
      const { gone, touched } = this.#facts.nextGone(key, revision - 1);
      if (gone === Number.POSITIVE_INFINITY || touched <= gone) continue;
      early.set(key, undefined);
      if (this.#facts.gapsBetween(revision, gone + 1) === 0) late.set(key, undefined);
    }
    return early.size > late.size ? [{ candidate: undefined, changes: late }, { candidate: undefined, changes: early }] : [{ candidate: undefined, changes: late }];
  }

  #blank(key: string, revision: number, createRevision: number, version: number): EtcdKv {
    return { key, value: "", createRevision, modRevision: revision, version };
  }

  #write(writer: EtcdOperation, revision: number): Setback | undefined {
    if (!isRequest(writer.input)) return undefined;
    this.#grantDoubtful(writer.input, revision);
    const effect = evaluate(this.#timeline, writer.input, writer.output as EtcdAnswer);
    if (effect.impossible !== undefined) return this.#setback(writer, effect.impossible);
    this.#timeline.commit(effect.changes);
    this.#order.push(writer.op);
    return this.#observe(revision, effect.changes, writer);
  }

  #observe(revision: number, changes: Changes, operation: EtcdOperation | undefined): Setback | undefined {
    const seen = this.#observer?.check(revision, changes, (key) => this.#timeline.get(key, revision - 1));
    if (seen === undefined) return undefined;
    const keys = new Set([...seen.keys, ...(operation === undefined ? [] : [...changes.keys()])]);
    return { kind: "disagreement", reason: seen.message, operations: operation === undefined ? [] : [operation.op], streams: seen.streams, touches: (key) => keys.has(key) };
  }

  /** Everything that was answered from this revision, the store being there. */
  #checkSlot(revision: number): Setback | undefined {
    for (const operation of this.#serializable.get(revision) ?? []) {
      const setback = this.#answer(operation);
      if (setback !== undefined) return { ...setback, kind: "serializable" };
    }
    const writer = this.#problem.writers.get(revision);
    for (const operation of this.#slots.get(revision) ?? []) {
      if (operation === writer) continue;
      const setback = this.#answerOther(operation, revision);
      if (setback !== undefined) return setback;
    }
    return undefined;
  }

  #answer(operation: EtcdOperation): Setback | undefined {
    if (!isRequest(operation.input)) return undefined;
    const effect = evaluate(this.#timeline, operation.input, operation.output as EtcdAnswer);
    if (effect.impossible !== undefined) return this.#setback(operation, effect.impossible);
    if (effect.changes.size > 0) return this.#setback(operation, `it would have changed the store, but its answer says that it did not`);
    return undefined;
  }

  #answerOther(operation: EtcdOperation, revision: number): Setback | undefined {
    const { input, output } = operation;
    if (input.f === "lease-revoke") return this.#revokeNothing(operation, input.id, revision);
    this.#order.push(operation.op);
    if (input.f === "lease-grant") {
      const id = output?.f === "lease-grant" ? output.id : input.id;
      if (this.#timeline.leaseKeys(id).length > 0) return this.#setback(operation, `lease ${id} was granted anew while keys were still attached to it`);
      this.#timeline.grant(id);
      return undefined;
    }
    if (input.f === "compact") {
      if (input.revision > revision) return this.#setback(operation, `it compacted at revision ${input.revision}, but the store was only at ${revision}`);
      this.#timeline.compact(input.revision);
      return undefined;
    }
    return this.#answer(operation);
  }

  /** An acknowledged revoke either made its revision (then it was chosen there) or found no keys. */
  #revokeNothing(operation: EtcdOperation, id: string, revision: number): Setback | undefined {
    const made = this.#frames.at(-1);
    const chosen = made?.revision === revision && made.current?.candidate !== undefined ? this.#problem.candidates[made.current.candidate] : undefined;
    if (chosen?.operation === operation) return undefined;
    this.#order.push(operation.op);
    const keys = this.#timeline.leaseKeys(id);
    if (keys.length > 0) {
      const attached = new Set(this.#problem.candidates.find((candidate) => candidate.input.f === "lease-revoke" && candidate.input.id === id)?.writes ?? keys);
      return { ...this.#setback(operation, `it revoked lease ${id} at revision ${revision} without deleting ${keys.join(", ")}`), touches: (key) => attached.has(key) };
    }
    this.#timeline.revoke(id);
    return undefined;
  }

  #setback(operation: EtcdOperation, reason: string): Setback {
    const ranges = rangesOf(operation.input);
    return { kind: "nonlinearizable", reason, operations: [operation.op], touches: (key) => ranges.some((range) => inRange(key, range.key, range.rangeEnd)) };
  }

  #note(revision: number, setback: Setback): void {
    if (this.#deepest !== undefined && this.#deepest.revision >= revision) return;
    const shown: string[] = [];
    for (const key of this.#problem.keys) {
      if (!setback.touches(key) || shown.length >= 8) continue;
      const kv = this.#timeline.get(key, this.#timeline.revision);
      if (kv !== undefined) shown.push(`${key}=${JSON.stringify(kv.value)} (mod ${kv.modRevision}, version ${kv.version})`);
    }
    this.#deepest = {
      revision,
      kind: setback.kind,
      reason: setback.reason,
      operations: setback.operations,
      ...(setback.streams === undefined ? {} : { streams: setback.streams }),
      prefix: this.#order.filter((op) => !setback.operations.includes(op)),
      state: `revision ${this.#timeline.revision}: ${shown.length === 0 ? "no key of these is there" : shown.join(", ")}`,
    };
  }
}

function coversAll(keys: ReadonlySet<string>, changes: Changes): boolean {
  for (const key of keys) if (changes.get(key) === undefined) return false;
  return true;
}

function rangesOf(input: EtcdInput): readonly { readonly key: string; readonly rangeEnd?: string }[] {
  if (!isRequest(input)) return [];
  if (input.f !== "txn") return [input];
  return [...input.compare, ...[...input.success, ...input.failure].flatMap(rangesOf)];
}

/**
 * Within a revision the answers may stand in any order that real time allows: by invocation, but a compaction as late as
 * it can, because reads below it must come before it.
 */
function sortSlots(problem: EtcdProblem): ReadonlyMap<number, readonly EtcdOperation[]> {
  const sorted = new Map<number, readonly EtcdOperation[]>();
  const place = (operation: EtcdOperation): number => (operation.input.f === "compact" ? (operation.returned ?? Number.POSITIVE_INFINITY) : operation.invoked);
  for (const [revision, operations] of problem.answered) sorted.set(revision, [...operations].sort((a, b) => place(a) - place(b)));
  return sorted;
}
