import type { EtcdInput, EtcdKv } from "../models/etcd-types.ts";
import type { Bits } from "./bits.ts";
import { addFrom, noBits, setBit } from "./bits.ts";
import type { Eligibility } from "./eligibility.ts";
import type { Changes } from "./evaluate.ts";
import { evaluate } from "./evaluate.ts";
import type { Facts } from "./facts.ts";
import type { Need } from "./key-facts.ts";
import { matchKv } from "./match.ts";
import type { Candidate, EtcdProblem } from "./problem.ts";
import type { Deadlines } from "./realtime.ts";
import { isRequest, possible } from "./requests.ts";
import type { Timeline } from "./timeline.ts";

/** One way to fill a missing revision. */
export interface Option {
  /** By number; undefined: a foreign writer. */
  readonly candidate: number | undefined;
  readonly changes: Changes;
}

export interface Choice {
  /** Likeliest first. */
  readonly options: readonly Option[];
  /** Missing revisions, by number, that might offer more here if they were filled otherwise. */
  readonly conflicts: Bits;
  /** Candidates that do not fit here as things are. */
  readonly rejected: readonly number[];
}

export interface ChoiceMaker {
  readonly problem: EtcdProblem;
  readonly facts: Facts;
  readonly deadlines: Deadlines;
  readonly eligibility: Eligibility;
  readonly gaps: readonly number[];
}

/** Decides what may fill a missing revision, the store being as it is just before it. */
export class Choices {
  readonly #problem: EtcdProblem;
  readonly #facts: Facts;
  readonly #deadlines: Deadlines;
  readonly #eligibility: Eligibility;
  readonly #gaps: readonly number[];
  readonly #timeline: Timeline;
  readonly #needsAt = new Map<number, { readonly need: Need; readonly later: number }[]>();

  constructor(parts: ChoiceMaker, timeline: Timeline) {
    this.#problem = parts.problem;
    this.#facts = parts.facts;
    this.#deadlines = parts.deadlines;
    this.#eligibility = parts.eligibility;
    this.#gaps = parts.gaps;
    this.#timeline = timeline;
    for (const need of this.#facts.needs) {
      const where = this.#eligibility.gapsOf(need.key, need.from, need.to);
      where.forEach((gap, index) => {
        const entry = { need, later: where.length - index - 1 };
        const list = this.#needsAt.get(gap);
        if (list === undefined) this.#needsAt.set(gap, [entry]);
        else list.push(entry);
      });
    }
  }

  /** `usedBy`: which missing revision, by number, a candidate fills already. */
  at(revision: number, usedBy: readonly (number | undefined)[]): Choice {
    const conflicts = noBits(this.#gaps.length);
    const rejected: number[] = [];
    const options: Option[] = [];
    const tried = new Set<string>();
    const forced = this.#forcedKeys(revision);
    if (forced.size > 0)
      addFrom(
        conflicts,
        this.#eligibility.relevant(
          [...forced].map((key) => ({ key })),
          revision,
        ),
        0,
      );
    for (const number of this.#eligibility.at(revision)) {
      const candidate = this.#problem.candidates[number] as Candidate;
      const user = usedBy[number];
      if (user !== undefined) {
        setBit(conflicts, user);
        continue;
      }
      // Two open operations with the same input are interchangeable; the earlier one is good wherever the later is.
      if (candidate.only === undefined && tried.has(candidate.text)) continue;
      const changes = this.#changesOf(candidate, revision);
      if (
        changes === undefined ||
        changes.size === 0 ||
        !this.#agrees(changes, revision, number) ||
        !coversAll(forced, changes)
      ) {
        rejected.push(number);
        continue;
      }
      tried.add(candidate.text);
      options.push({ candidate: number, changes });
    }
    this.#sort(options, revision);
    if (this.#problem.foreignWriters) options.push(...this.#foreign(revision));
    return { options, conflicts, rejected };
  }

  /**
   * A fixed one is certain if it fits; a put without which a known delete has nothing to delete is likely; one that somebody in doubt would
   * have to undo again is not. Among equals, those that were invoked shortly before the revision came are the likeliest.
   */
  #sort(options: Option[], revision: number): void {
    const deadline = this.#deadlines.of(revision);
    const places = new Map<Option, { readonly rank: number; readonly distance: number }>();
    for (const option of options) {
      const candidate = this.#problem.candidates[option.candidate ?? 0] as Candidate;
      const distance = Number.isFinite(deadline) ? deadline - candidate.invoked : candidate.invoked;
      places.set(option, { rank: candidate.only === undefined ? this.#rank(option.changes, revision) : 0, distance });
    }
    options.sort((a, b) => {
      const x = places.get(a);
      const y = places.get(b);
      return x === undefined || y === undefined ? 0 : x.rank - y.rank || x.distance - y.distance;
    });
  }

  #rank(changes: Changes, revision: number): number {
    let rank = 2;
    for (const [key, kv] of changes) {
      if (kv === undefined) continue;
      const gone = this.#facts.goneBefore(key, revision);
      if (gone !== Number.POSITIVE_INFINITY && !this.#facts.deletedBetween(key, revision, gone)) return 3;
      if (kv.version === 1 && this.#facts.deletedNext(key, revision)) rank = 1;
    }
    return rank;
  }

  /** Keys that must be put here, or their versions cannot come out any more. */
  #forcedKeys(revision: number): ReadonlySet<string> {
    const forced = new Set<string>();
    for (const { need, later } of this.#needsAt.get(revision) ?? []) {
      const now = this.#timeline.get(need.key, revision)?.version ?? 0;
      const hidden = need.versionBefore - now - this.#facts.putsBetween(need.key, revision, need.to);
      if (hidden > later) forced.add(need.key);
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
    this.grantDoubtful(input, revision);
    const { changes } = evaluate(this.#timeline, input, undefined);
    this.#timeline.undoTo(mark);
    return changes;
  }

  /** A lease whose grant is in doubt was granted, if a put that is known to have worked attaches it. The grants that took effect. */
  grantDoubtful(input: EtcdInput, revision: number): readonly number[] {
    const granted: number[] = [];
    if (!isRequest(input) || this.#problem.doubtfulGrants.size === 0) return granted;
    for (const request of possible(input)) {
      const grant =
        request.f === "put" && request.lease !== undefined
          ? this.#problem.doubtfulGrants.get(request.lease)
          : undefined;
      if (grant === undefined || grant.invoked > this.#deadlines.of(revision)) continue;
      if (grant.input.f === "lease-grant" && this.#timeline.grantDoubtful(grant.input.id)) granted.push(grant.op);
    }
    return granted;
  }

  /** What was seen of the keys at this revision and around it. */
  #agrees(changes: Changes, revision: number, number: number): boolean {
    for (const [key, kv] of changes) {
      if (kv === undefined ? !this.#facts.allowsDelete(key, revision) : !this.#agreesPut(kv, revision, number))
        return false;
    }
    for (const key of this.#facts.requiredPuts(revision)) if (changes.get(key) === undefined) return false;
    return true;
  }

  #agreesPut(kv: EtcdKv, revision: number, number: number): boolean {
    const seen = this.#facts.seenAt(kv.key, revision);
    if (seen === undefined) return this.#eligibility.allowsPut(kv.key, revision, number);
    if (seen.create !== kv.createRevision || seen.version !== kv.version) return false;
    return seen.kv === undefined || seen.keysOnly || matchKv(kv, seen.kv) === undefined;
  }

  /**
   * A foreign writer put what was seen here. What was only inferred (a version that needs one more put, a key that is seen no more) it did
   * here if no later revision can, first; as an alternative it did all of it here already.
   */
  #foreign(revision: number): Option[] {
    const late: Changes = new Map();
    for (const key of this.#facts.requiredPuts(revision)) {
      const seen = this.#facts.seenAt(key, revision);
      if (seen !== undefined)
        late.set(
          key,
          seen.kv ?? { key, value: "", createRevision: seen.create, modRevision: revision, version: seen.version },
        );
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
      if (early.has(key) || this.#timeline.get(key, revision) === undefined || !this.#facts.allowsDelete(key, revision))
        continue;
      const { gone, touched } = this.#facts.nextGone(key, revision - 1);
      if (gone === Number.POSITIVE_INFINITY || touched <= gone) continue;
      early.set(key, undefined);
      if (this.#facts.gapsBetween(revision, gone + 1) === 0) late.set(key, undefined);
    }
    return early.size > late.size
      ? [
          { candidate: undefined, changes: late },
          { candidate: undefined, changes: early },
        ]
      : [{ candidate: undefined, changes: late }];
  }
}

function coversAll(keys: ReadonlySet<string>, changes: Changes): boolean {
  for (const key of keys) if (changes.get(key) === undefined) return false;
  return true;
}
