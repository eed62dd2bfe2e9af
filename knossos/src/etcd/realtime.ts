import type { Contradiction } from "./key-facts.ts";
import type { EtcdProblem } from "./problem.ts";
import type { EtcdOperation } from "./requests.ts";

/** Someone knew at `time` that `revision` had been made: a serializable read, a watch event. */
export interface Sighting {
  readonly revision: number;
  readonly time: number;
  readonly operation?: number;
  readonly stream?: number;
}

/** When each revision must have existed, at the latest. */
export class Deadlines {
  readonly #base: number;
  /** By revision - base: the earliest return of anything that answered from this revision or a later one. */
  readonly #latest: Float64Array;

  constructor(problem: EtcdProblem, top: number, sightings: readonly Sighting[]) {
    this.#base = problem.initial.revision;
    this.#latest = new Float64Array(Math.max(0, top - this.#base) + 2).fill(Number.POSITIVE_INFINITY);
    for (const [revision, operations] of problem.answered) {
      for (const { returned } of operations) this.#lower(revision, returned);
    }
    for (const { revision, time } of sightings) this.#lower(revision, time);
    for (let i = this.#latest.length - 2; i >= 0; i--)
      this.#latest[i] = Math.min(this.#latest[i] as number, this.#latest[i + 1] as number);
  }

  #lower(revision: number, time: number | undefined): void {
    const i = revision - this.#base;
    if (i >= 0 && time !== undefined && time < (this.#latest[i] as number)) this.#latest[i] = time;
  }

  /** What made this revision was invoked no later than this. */
  of(revision: number): number {
    return this.#latest[revision - this.#base] ?? Number.POSITIVE_INFINITY;
  }
}

/**
 * Header revisions force an order: whoever made revision r comes before whoever answered from r, and all of them before whoever
 * made r + 1. A real-time edge against that order refutes. One pass: the latest invocation among those that must come
 * before is compared with each return.
 */
export function checkRealTime(problem: EtcdProblem, sightings: readonly Sighting[]): Contradiction | undefined {
  const base = problem.initial.revision;
  const revisions = [...problem.answered.keys()].sort((a, b) => a - b);
  const bySlot = new Map<number, Sighting[]>();
  for (const sighting of sightings) {
    const list = bySlot.get(sighting.revision);
    if (list === undefined) {
      bySlot.set(sighting.revision, [sighting]);
      if (!problem.answered.has(sighting.revision)) revisions.push(sighting.revision);
    } else {
      list.push(sighting);
    }
  }
  revisions.sort((a, b) => a - b);
  let latest: EtcdOperation | undefined;
  for (const revision of revisions) {
    const operations = problem.answered.get(revision) ?? [];
    const writer = problem.writers.get(revision);
    if (revision < base && operations[0] !== undefined) {
      const { op } = operations[0];
      return {
        kind: "revision-went-back",
        message: `operation ${op} was answered from revision ${revision}, but the store was at ${base} before the history began`,
        operations: [op],
      };
    }
    if (writer !== undefined) {
      if (revision === base)
        return {
          kind: "revision-went-back",
          message: `operation ${writer.op} was answered as having made revision ${revision}, but the store was there before the history began`,
          operations: [writer.op],
        };
      if (latest !== undefined && returnedBefore(writer, latest)) return backwards(writer, latest);
      if (latest === undefined || writer.invoked > latest.invoked) latest = writer;
    }
    const before = latest;
    for (const operation of operations) {
      if (before !== undefined && operation !== writer && returnedBefore(operation, before))
        return backwards(operation, before);
      if (latest === undefined || operation.invoked > latest.invoked) latest = operation;
    }
    // Whoever saw this revision saw that its writer and all earlier answers were done.
    const early =
      before === undefined ? undefined : bySlot.get(revision)?.find((sighting) => sighting.time < before.invoked);
    if (early !== undefined && before !== undefined) return seenEarly(early, before);
  }
  return undefined;
}

function returnedBefore(a: EtcdOperation, b: EtcdOperation): boolean {
  return a !== b && a.returned !== undefined && a.returned < b.invoked;
}

function backwards(late: EtcdOperation, early: EtcdOperation): Contradiction {
  return {
    kind: "real-time",
    message: `operation ${early.op} was invoked after operation ${late.op} had returned at revision ${late.output?.revision ?? 0}, yet it was answered from revision ${early.output?.revision ?? 0}, which comes before`,
    operations: [late.op, early.op],
  };
}

function seenEarly(sighting: Sighting, before: EtcdOperation): Contradiction {
  const who = sighting.operation === undefined ? `stream ${sighting.stream ?? 0}` : `operation ${sighting.operation}`;
  return {
    kind: "real-time",
    message: `${who} showed revision ${sighting.revision}, yet operation ${before.op}, invoked later, was answered as revision ${before.output?.revision ?? 0}`,
    operations: sighting.operation === undefined ? [before.op] : [sighting.operation, before.op],
    ...(sighting.stream === undefined ? {} : { streams: [sighting.stream] }),
  };
}
