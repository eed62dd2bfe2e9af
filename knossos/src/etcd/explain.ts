import type { Budget } from "../budget.ts";
import type { EtcdAnswer, EtcdKv } from "../models/etcd-types.ts";
import { addFrom, highest, noBits, setBit } from "./bits.ts";
import type { Bits } from "./bits.ts";
import type { Choice, Option } from "./choices.ts";
import { Choices } from "./choices.ts";
import type { Touched } from "./eligibility.ts";
import { Eligibility, leasesOf } from "./eligibility.ts";
import type { Changes } from "./evaluate.ts";
import { evaluate } from "./evaluate.ts";
import type { Facts } from "./facts.ts";
import { inRange, upperBound } from "./order.ts";
import type { Candidate, EtcdProblem } from "./problem.ts";
import type { Deadlines } from "./realtime.ts";
import type { EtcdOperation } from "./requests.ts";
import { isRequest } from "./requests.ts";
import { Timeline } from "./timeline.ts";

/** What watchers saw: a second opinion on every revision that they cover. */
export interface Observer {
  /** Why these changes at this revision are not what was seen; undefined if they are. */
  check(
    revision: number,
    changes: Changes,
    before: (key: string) => EtcdKv | undefined,
  ): { readonly message: string; readonly streams: readonly number[]; readonly keys: readonly string[] } | undefined;
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
  | { readonly result: "explained"; readonly order: readonly number[]; readonly steps: number; readonly gaps: number }
  /** `certain`: every way to fill the missing revisions was tried. */
  | { readonly result: "refuted"; readonly failure: Failure; readonly certain: boolean; readonly steps: number }
  | { readonly result: "budget"; readonly failure: Failure | undefined; readonly steps: number };

export interface ExplainOptions {
  readonly facts: Facts;
  readonly deadlines: Deadlines;
  /** Revisions that no acknowledged write made, ascending. */
  readonly gaps: readonly number[];
  readonly top: number;
  /** Hold serializable ranges to it too. */
  readonly serializable: boolean;
  readonly observer?: Observer;
  readonly budget: Budget;
}

/** A missing revision and the ways to fill it. The n-th missing revision opens the n-th frame. */
interface Frame extends Choice {
  readonly revision: number;
  readonly mark: number;
  readonly orderLength: number;
  next: number;
  current: Option | undefined;
}

interface Setback {
  readonly kind: string;
  readonly reason: string;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
  readonly touched: Touched;
  /** A key that is there although it was seen gone. */
  readonly lingering?: string;
}

/** Steps between two looks at the clock. */
const STEPS_PER_LOOK = 64;

/**
 * Walks the revisions upwards. Where an acknowledged write made the revision there is nothing to choose; where nobody says who did,
 * each operation in doubt, lease expiry or (if there are any) foreign writer that fits is tried, with conflict-directed backjumping
 * (Prosser 1993): a failure that concerns some keys goes back to the last choice that has a say in those keys, and what was seen of a key
 * cuts off everything before. Every answer on the way is evaluated in full, so an explanation is a verified order.
 */
export class Explainer {
  readonly #problem: EtcdProblem;
  readonly #options: ExplainOptions;
  readonly #timeline: Timeline;
  readonly #eligibility: Eligibility;
  readonly #choices: Choices;
  readonly #slots: ReadonlyMap<number, readonly EtcdOperation[]>;
  readonly #serializable = new Map<number, EtcdOperation[]>();
  readonly #usedBy: (number | undefined)[];
  readonly #order: number[] = [];
  readonly #frames: Frame[] = [];
  #deepest: Failure | undefined;
  #steps = 0;

  constructor(problem: EtcdProblem, options: ExplainOptions) {
    const { facts, deadlines, gaps } = options;
    this.#problem = problem;
    this.#options = options;
    this.#timeline = new Timeline(problem.keys, problem.initial);
    this.#eligibility = new Eligibility(problem, facts, deadlines, gaps);
    this.#choices = new Choices({ problem, facts, deadlines, eligibility: this.#eligibility, gaps }, this.#timeline);
    this.#usedBy = problem.candidates.map(() => undefined);
    this.#slots = sortSlots(problem);
    if (!options.serializable) return;
    for (const operation of problem.serializable) {
      const revision = operation.output?.revision ?? 0;
      const list = this.#serializable.get(revision);
      if (list === undefined) this.#serializable.set(revision, [operation]);
      else list.push(operation);
    }
  }

  run(): Explanation {
    let revision = this.#problem.initial.revision;
    let setback = this.#checkSlot(revision);
    while (true) {
      if (++this.#steps % STEPS_PER_LOOK === 0 && this.#options.budget.spent)
        return { result: "budget", failure: this.#deepest, steps: this.#steps };
      if (setback === undefined && revision === this.#options.top)
        return { result: "explained", order: this.#order, steps: this.#steps, gaps: this.#options.gaps.length };
      if (setback === undefined) {
        revision++;
        const writer = this.#problem.writers.get(revision);
        if (writer !== undefined) {
          setback = this.#write(writer, revision) ?? this.#checkSlot(revision);
          continue;
        }
        this.#frames.push({
          ...this.#choices.at(revision, this.#usedBy),
          revision,
          mark: this.#timeline.mark(),
          orderLength: this.#order.length,
          next: 0,
          current: undefined,
        });
      } else {
        this.#note(revision, setback);
        const conflicts =
          this.#whyThere(setback.lingering, revision) ?? this.#eligibility.relevant(setback.touched.ranges, revision);
        this.#addEndsOf(setback.touched.leases, conflicts);
        if (!this.#jumpBack(conflicts)) return this.#refuted();
      }
      const next = this.#nextOption();
      if (next === undefined) return this.#refuted();
      revision = next.revision;
      setback = next.setback;
    }
  }

  #refuted(): Explanation {
    const failure = this.#deepest ?? {
      revision: 0,
      kind: "nonlinearizable",
      reason: "no order explains the answers",
      operations: [],
      prefix: [],
      state: "",
    };
    // What foreign writers may have done is guessed, not enumerated.
    return {
      result: "refuted",
      failure,
      certain: !this.#problem.foreignWriters || this.#options.gaps.length === 0,
      steps: this.#steps,
    };
  }

  /**
   * Missing revisions, by number, that are to blame for a key that is there at `revision`, though it was seen gone: the one that put it last,
   * and those since at which some candidate may delete it. As long as all of these are filled as they are, the key is there: a
   * plain put puts it if it makes a revision at all, what acknowledged writers put and delete is in their answers, and no other
   * missing revision can delete it. More puts between would not take it away. Where that depends on what else the store held (a txn
   * that takes its other branch, a lease that another put attaches), undefined: then everything that touches the key is to blame.
   */
  #whyThere(key: string | undefined, revision: number): Bits | undefined {
    const put = key === undefined ? undefined : this.#timeline.touchedAt(key);
    if (key === undefined || put === undefined || this.#problem.foreignWriters) return undefined;
    const { gaps } = this.#options;
    const blamed = noBits(gaps.length);
    const maker = upperBound(gaps, put) - 1;
    if (gaps[maker] === put) {
      if (this.#filling(maker)?.input.f !== "put") return undefined;
      setBit(blamed, maker);
    }
    for (const gap of this.#eligibility.deletionsOf(key, put, revision + 1)) {
      const index = upperBound(gaps, gap) - 1;
      const filling = this.#filling(index);
      if (filling === undefined || this.#eligibility.deletesAtTimes(filling, key)) return undefined;
      setBit(blamed, index);
    }
    return blamed;
  }

  #filling(index: number): Candidate | undefined {
    const number = this.#frames[index]?.current?.candidate;
    return number === undefined ? undefined : this.#problem.candidates[number];
  }

  /** Where a lease that should exist was ended: only another choice there can keep it. */
  #addEndsOf(leases: readonly string[], conflicts: Bits): void {
    if (leases.length === 0) return;
    this.#frames.forEach((frame, index) => {
      const input =
        frame.current?.candidate === undefined ? undefined : this.#problem.candidates[frame.current.candidate]?.input;
      if (input?.f === "lease-revoke" && leases.includes(input.id)) setBit(conflicts, index);
    });
  }

  /** Drops the frames above the youngest that can matter. False: none can. */
  #jumpBack(conflicts: Bits): boolean {
    // With foreign writers every revision may have touched every key: plain backtracking, without the sets.
    const target = this.#problem.foreignWriters ? this.#frames.length - 1 : highest(conflicts, this.#frames.length);
    if (target < 0) return false;
    while (this.#frames.length - 1 > target) {
      const frame = this.#frames.pop() as Frame;
      if (frame.current?.candidate !== undefined) this.#usedBy[frame.current.candidate] = undefined;
    }
    addFrom((this.#frames[target] as Frame).conflicts, conflicts, 0);
    return true;
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
      for (const rejected of frame.rejected) {
        this.#eligibility.addRelevantTo(frame.conflicts, rejected, frame.revision);
        this.#addEndsOf(leasesOf((this.#problem.candidates[rejected] as Candidate).input), frame.conflicts);
      }
      if (!this.#jumpBack(frame.conflicts)) return undefined;
    }
  }

  #take(revision: number, option: Option): Setback | undefined {
    const candidate = option.candidate === undefined ? undefined : this.#problem.candidates[option.candidate];
    if (candidate !== undefined) this.#order.push(...this.#choices.grantDoubtful(candidate.input, revision));
    this.#timeline.commit(option.changes);
    if (candidate?.input.f === "lease-revoke") this.#timeline.revoke(candidate.input.id);
    if (candidate?.operation !== undefined) this.#order.push(candidate.operation.op);
    return this.#compare(revision, option.changes, candidate?.operation) ?? this.#checkSlot(revision);
  }

  #nobody(revision: number): Setback {
    const required = [...this.#options.facts.requiredPuts(revision)];
    const what = required.length === 0 ? "" : ` (it put ${required.join(", ")})`;
    return {
      kind: "unexplained-revision",
      reason: `revision ${revision} was reached${what}, but no acknowledged operation made it and none of the ${this.#problem.candidates.length} operations in doubt and lease expiries can have`,
      operations: (this.#problem.answered.get(revision) ?? this.#problem.answered.get(revision + 1) ?? [])
        .slice(0, 2)
        .map((operation) => operation.op),
      touched: { ranges: required.map((key) => ({ key })), leases: [] },
    };
  }

  #write(writer: EtcdOperation, revision: number): Setback | undefined {
    if (!isRequest(writer.input)) return undefined;
    this.#order.push(...this.#choices.grantDoubtful(writer.input, revision));
    const effect = evaluate(this.#timeline, writer.input, writer.output as EtcdAnswer);
    if (effect.impossible !== undefined) return setbackOf(writer, effect.impossible, effect.touched);
    this.#timeline.commit(effect.changes);
    this.#order.push(writer.op);
    return this.#compare(revision, effect.changes, writer);
  }

  /**
   * Holds a new revision to everything that was ever seen of it. From here on all sightings up to this revision are true of the
   * order so far: that is what lets a failure look no further back than the last sighting of a key.
   */
  #compare(revision: number, changes: Changes, operation: EtcdOperation | undefined): Setback | undefined {
    const wrong = this.#options.facts.disagreement(revision, changes, (key) => this.#timeline.get(key, revision));
    if (wrong !== undefined) {
      const { operation: witness, stream } = wrong.by;
      const operations = [
        ...new Set([...(operation === undefined ? [] : [operation.op]), ...(witness === undefined ? [] : [witness])]),
      ];
      return {
        kind: "nonlinearizable",
        reason: wrong.reason,
        operations,
        ...(stream === undefined ? {} : { streams: [stream] }),
        touched: { ranges: [{ key: wrong.key }], leases: [] },
        ...(wrong.gone === true ? { lingering: wrong.key } : {}),
      };
    }
    return this.#observe(revision, changes, operation);
  }

  #observe(revision: number, changes: Changes, operation: EtcdOperation | undefined): Setback | undefined {
    const seen = this.#options.observer?.check(revision, changes, (key) => this.#timeline.get(key, revision - 1));
    if (seen === undefined) return undefined;
    const keys = new Set([...seen.keys, ...changes.keys()]);
    const touched = { ranges: [...keys].map((key) => ({ key })), leases: [] };
    return {
      kind: "disagreement",
      reason: seen.message,
      operations: operation === undefined ? [] : [operation.op],
      streams: seen.streams,
      touched,
    };
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
    if (effect.impossible !== undefined) return setbackOf(operation, effect.impossible, effect.touched);
    if (effect.changes.size === 0) return undefined;
    return setbackOf(operation, "it would have changed the store, but its answer says that it did not", {
      ranges: [...effect.changes.keys()].map((key) => ({ key })),
      leases: [],
    });
  }

  #answerOther(operation: EtcdOperation, revision: number): Setback | undefined {
    const { input, output } = operation;
    if (input.f === "lease-revoke") return this.#revokeNothing(operation, input.id, revision);
    this.#order.push(operation.op);
    if (input.f === "lease-grant") {
      const id = output?.f === "lease-grant" ? output.id : input.id;
      if (this.#timeline.leaseKeys(id).length > 0)
        return setbackOf(
          operation,
          `lease ${id} was granted anew while keys were still attached to it`,
          this.#leaseTouched(id),
        );
      this.#timeline.grant(id);
      return undefined;
    }
    if (input.f === "compact") {
      if (input.revision > revision)
        return setbackOf(
          operation,
          `it compacted at revision ${input.revision}, but the store was only at ${revision}`,
          NOTHING,
        );
      this.#timeline.compact(input.revision);
      return undefined;
    }
    return this.#answer(operation);
  }

  /** An acknowledged revoke either made its revision (then it was chosen there) or found no keys. */
  #revokeNothing(operation: EtcdOperation, id: string, revision: number): Setback | undefined {
    const made = this.#frames.at(-1);
    const chosen =
      made?.revision === revision && made.current?.candidate !== undefined
        ? this.#problem.candidates[made.current.candidate]
        : undefined;
    if (chosen?.operation === operation) return undefined;
    this.#order.push(operation.op);
    const keys = this.#timeline.leaseKeys(id);
    if (keys.length > 0)
      return setbackOf(
        operation,
        `it revoked lease ${id} at revision ${revision} without deleting ${keys.join(", ")}`,
        this.#leaseTouched(id),
      );
    this.#timeline.revoke(id);
    return undefined;
  }

  /** The keys attached to a lease now: what ends the lease touches them. */
  #leaseTouched(id: string): Touched {
    return { ranges: this.#timeline.leaseKeys(id).map((key) => ({ key })), leases: [] };
  }

  #note(revision: number, setback: Setback): void {
    if (this.#deepest !== undefined && this.#deepest.revision >= revision) return;
    const shown: string[] = [];
    for (const key of this.#problem.keys) {
      if (shown.length >= 8 || !setback.touched.ranges.some((range) => inRange(key, range.key, range.rangeEnd)))
        continue;
      const kv = this.#timeline.get(key, this.#timeline.revision);
      if (kv !== undefined)
        shown.push(`${key}=${JSON.stringify(kv.value)} (mod ${kv.modRevision}, version ${kv.version})`);
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

const NOTHING: Touched = { ranges: [], leases: [] };

function setbackOf(operation: EtcdOperation, reason: string, touched: Touched): Setback {
  return { kind: "nonlinearizable", reason, operations: [operation.op], touched };
}

/**
 * Within a revision the answers may stand in any order that real time allows: by invocation, but a compaction as late as
 * it can, because reads below it must come before it.
 */
function sortSlots(problem: EtcdProblem): ReadonlyMap<number, readonly EtcdOperation[]> {
  const sorted = new Map<number, readonly EtcdOperation[]>();
  const place = (operation: EtcdOperation): number =>
    operation.input.f === "compact" ? (operation.returned ?? Number.POSITIVE_INFINITY) : operation.invoked;
  for (const [revision, operations] of problem.answered)
    sorted.set(
      revision,
      [...operations].sort((a, b) => place(a) - place(b)),
    );
  return sorted;
}
