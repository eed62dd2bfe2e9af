import type { EtcdInput, EtcdPut, EtcdRequest } from "../models/etcd-types.ts";
import type { Bits } from "./bits.ts";
import { addFrom, noBits, setBit } from "./bits.ts";
import { Deleters } from "./deleters.ts";
import type { Facts } from "./facts.ts";
import { inRange, upperBound } from "./order.ts";
import type { Candidate, EtcdProblem } from "./problem.ts";
import type { Deadlines } from "./realtime.ts";
import { isRequest, possible } from "./requests.ts";

const PUT = 1;
const DELETE = 2;
const KNOWN = 4;
const NOTHING: ReadonlySet<string> = new Set();

export interface KeyRange {
  readonly key: string;
  readonly rangeEnd?: string | undefined;
  /** Looked at as of then; 0 and absent: as of now. */
  readonly revision?: number | undefined;
}

/** What a failure concerns. */
export interface Touched {
  readonly ranges: readonly KeyRange[];
  /** Leases that would have to exist. */
  readonly leases: readonly string[];
}

/**
 * Who can have made each missing revision, whatever the others hold: ruled out by what was answered (Facts) and by real time (Deadlines).
 * From that: which missing revisions can have a say in the state of a key. A key's record is known wherever it was seen;
 * only what lies after its last sighting can have changed it since.
 */
export class Eligibility {
  readonly #problem: EtcdProblem;
  readonly #facts: Facts;
  readonly #gaps: readonly number[];
  readonly #candidates = new Map<number, readonly number[]>();
  readonly #gapsOfKey = new Map<string, Bits>();
  readonly #writesOf = new Map<Candidate, ReadonlySet<string>>();
  /** By key, by number of the missing revision: what may have happened to it there. */
  readonly #mayHappen = new Map<string, Uint8Array>();
  readonly #deletesOf = new Map<Candidate, ReadonlySet<string>>();
  #deleters: Deleters;

  constructor(problem: EtcdProblem, facts: Facts, deadlines: Deadlines, gaps: readonly number[]) {
    this.#problem = problem;
    this.#facts = facts;
    this.#gaps = gaps;
    this.#deleters = new Deleters(facts);
    gaps.forEach((gap, index) => {
      const deadline = deadlines.of(gap);
      const chosen: number[] = [];
      problem.candidates.forEach((candidate, number) => {
        if (
          candidate.invoked <= deadline &&
          gap > candidate.after &&
          (candidate.only === undefined || candidate.only === gap) &&
          this.#fits(candidate, gap, index)
        )
          chosen.push(number);
      });
      this.#candidates.set(gap, chosen);
    });
    if (!problem.foreignWriters) {
      // Each candidate that is ruled out may have been the only one that could delete some key, or leave another alone at a revision.
      do {
        this.#reserve();
        this.#findDeleters();
      } while (this.#ruleOut());
    }
    gaps.forEach((gap, index) => {
      for (const number of this.at(gap)) this.#note(problem.candidates[number] as Candidate, gap, index);
    });
  }

  /** Candidates, by number, that may have made this revision. */
  at(gap: number): readonly number[] {
    return this.#candidates.get(gap) ?? [];
  }

  /** Where one candidate alone can have made a revision, it did, and made no other one. */
  #reserve(): void {
    const gapsOf = new Map<number, number[]>();
    for (const gap of this.#gaps) {
      for (const number of this.at(gap)) {
        const list = gapsOf.get(number);
        if (list === undefined) gapsOf.set(number, [gap]);
        else list.push(gap);
      }
    }
    const single = this.#gaps.filter((gap) => this.at(gap).length === 1);
    for (let gap = single.pop(); gap !== undefined; gap = single.pop()) {
      const [number] = this.at(gap);
      if (number === undefined) continue;
      for (const other of gapsOf.get(number) ?? []) {
        if (other === gap) continue;
        const left = this.at(other).filter((one) => one !== number);
        if (left.length === this.at(other).length) continue;
        this.#candidates.set(other, left);
        if (left.length === 1) single.push(other);
      }
    }
  }

  #findDeleters(): void {
    this.#deleters = new Deleters(this.#facts);
    this.#gaps.forEach((gap, index) => {
      for (const number of this.at(gap))
        for (const key of this.#mayDelete(this.#problem.candidates[number] as Candidate))
          if ((this.#may(key, gap, index) & DELETE) !== 0) this.#deleters.add(key, gap, number);
    });
  }

  /** Takes out the candidates whose puts cannot be undone before the key is seen gone. True: there were some. */
  #ruleOut(): boolean {
    let some = false;
    for (const gap of this.#gaps) {
      const candidates = this.at(gap);
      const left = candidates.filter((number) => {
        const { input } = this.#problem.candidates[number] as Candidate;
        if (input.f === "put") return !this.#deleters.ruleOut(input.key, gap, number);
        return (
          input.f !== "txn" ||
          this.#branchLasts(input.success, gap, number) ||
          this.#branchLasts(input.failure, gap, number)
        );
      });
      if (left.length === candidates.length) continue;
      this.#candidates.set(gap, left);
      some = true;
    }
    return some;
  }

  #branchLasts(branch: readonly EtcdRequest[], gap: number, number: number): boolean {
    if (branch.some((request) => request.f === "txn")) return true;
    return (
      branch.some((request) => request.f !== "range") &&
      !branch.some((request) => request.f === "put" && this.#deleters.ruleOut(request.key, gap, number))
    );
  }

  /** Whether what this candidate puts at this missing revision can be undone before the key is seen gone. */
  allowsPut(key: string, gap: number, number: number): boolean {
    return (
      this.#facts.allowsPut(key, gap) && (this.#problem.foreignWriters || !this.#deleters.ruleOut(key, gap, number))
    );
  }

  /** Missing revisions in (after, before) at which some candidate may have deleted the key. */
  deletionsOf(key: string, after: number, before: number): readonly number[] {
    return this.#deleters.between(key, after, before);
  }

  /** Whether it depends on what the store holds if this candidate deletes the key: not for a plain put or delete. */
  deletesAtTimes(candidate: Candidate, key: string): boolean {
    const { f } = candidate.input;
    return f !== "put" && f !== "delete" && this.#mayDelete(candidate).has(key);
  }

  #note(candidate: Candidate, gap: number, index: number): void {
    for (const key of this.#mayWrite(candidate))
      if (this.#may(key, gap, index) !== 0) this.#add(this.#gapsOfKey, key, index);
  }

  /** Bits of what may have happened to the key at this gap, worked out once. */
  #may(key: string, gap: number, index: number): number {
    let known = this.#mayHappen.get(key);
    if (known === undefined) {
      known = new Uint8Array(this.#gaps.length);
      this.#mayHappen.set(key, known);
    }
    if (known[index] === 0)
      known[index] =
        KNOWN | (this.#facts.allowsPut(key, gap) ? PUT : 0) | (this.#facts.allowsDelete(key, gap) ? DELETE : 0);
    return (known[index] as number) & (PUT | DELETE);
  }

  #add(gaps: Map<string, Bits>, name: string, index: number): void {
    let bits = gaps.get(name);
    if (bits === undefined) {
      bits = noBits(this.#gaps.length);
      gaps.set(name, bits);
    }
    setBit(bits, index);
  }

  #mayWrite(candidate: Candidate): ReadonlySet<string> {
    const known = this.#writesOf.get(candidate);
    if (known !== undefined) return known;
    const ranges = deletedRanges(candidate.input);
    const writes =
      ranges.length === 0
        ? candidate.writes
        : new Set([
            ...candidate.writes,
            ...this.#problem.keys.filter((key) => ranges.some((range) => inRange(key, range.key, range.rangeEnd))),
          ]);
    this.#writesOf.set(candidate, writes);
    return writes;
  }

  #mayDelete(candidate: Candidate): ReadonlySet<string> {
    const known = this.#deletesOf.get(candidate);
    if (known !== undefined) return known;
    const { input } = candidate;
    let deletes: ReadonlySet<string> = NOTHING;
    if (input.f === "lease-revoke") deletes = candidate.writes;
    else if (isRequest(input)) {
      const ranges = [...possible(input)].filter((request) => request.f === "delete");
      if (ranges.length > 0)
        deletes = new Set(
          [...this.#mayWrite(candidate)].filter((key) =>
            ranges.some((range) => inRange(key, range.key, range.rangeEnd)),
          ),
        );
    }
    this.#deletesOf.set(candidate, deletes);
    return deletes;
  }

  #fits(candidate: Candidate, gap: number, index: number): boolean {
    for (const key of this.#facts.requiredPuts(gap)) if (!candidate.writes.has(key)) return false;
    const { input } = candidate;
    if (input.f === "put") return this.#putFits(input, gap, index);
    if (input.f === "delete" || input.f === "lease-revoke") {
      for (const key of this.#mayWrite(candidate)) if ((this.#may(key, gap, index) & DELETE) !== 0) return true;
      return false;
    }
    if (input.f === "txn")
      return this.#branchFits(input.success, gap, index) || this.#branchFits(input.failure, gap, index);
    return false;
  }

  #putFits(put: EtcdPut, gap: number, index: number): boolean {
    if ((this.#may(put.key, gap, index) & PUT) === 0) return false;
    return (
      put.ignoreValue === true ||
      this.#facts.requiredPuts(gap).size === 0 ||
      this.#facts.allowsPut(put.key, gap, put.value)
    );
  }

  #branchFits(branch: readonly EtcdRequest[], gap: number, index: number): boolean {
    if (branch.some((request) => request.f === "txn")) return true;
    const puts = new Set<string>();
    for (const request of branch) {
      if (request.f !== "put") continue;
      if (!this.#putFits(request, gap, index)) return false;
      puts.add(request.key);
    }
    for (const key of this.#facts.requiredPuts(gap)) if (!puts.has(key)) return false;
    return puts.size > 0 || branch.some((request) => request.f === "delete");
  }

  /** Missing revisions in (from, to) that may put the key. */
  gapsOf(key: string, from: number, to: number): readonly number[] {
    if (this.#problem.foreignWriters) return this.#gaps.filter((gap) => gap > from && gap < to);
    const bits = this.#gapsOfKey.get(key);
    if (bits === undefined) return [];
    return this.#gaps.filter(
      (gap, index) => gap > from && gap < to && ((bits[index >>> 5] as number) & (1 << (index & 31))) !== 0,
    );
  }

  /** Missing revisions, by number, that have a say in what is touched, as it stands at `revision`. */
  relevant(ranges: readonly KeyRange[], revision: number): Bits {
    const found = noBits(this.#gaps.length);
    for (const range of ranges) {
      // A read of the past depends on what was before it.
      const as =
        range.revision === undefined || range.revision === 0 ? revision : Math.min(revision, range.revision + 1);
      for (const [key, gaps] of this.#gapsOfKey)
        if (inRange(key, range.key, range.rangeEnd)) this.#addSince(found, gaps, key, as);
    }
    return found;
  }

  #addSince(found: Bits, gaps: Bits, key: string, revision: number): void {
    addFrom(found, gaps, upperBound(this.#gaps, this.#facts.lastKnown(key, revision)));
  }

  /** Adds the missing revisions on which it depends what this candidate would do at `revision`. */
  addRelevantTo(found: Bits, number: number, revision: number): void {
    const candidate = this.#problem.candidates[number] as Candidate;
    for (const key of new Set([...this.#mayWrite(candidate), ...candidate.reads])) {
      const gaps = this.#gapsOfKey.get(key);
      if (gaps !== undefined) this.#addSince(found, gaps, key, revision);
    }
  }
}

/** Ranges of more than one key that an input may delete. */
export function deletedRanges(input: EtcdInput): readonly KeyRange[] {
  const ranges: KeyRange[] = [];
  if (!isRequest(input)) return ranges;
  for (const request of possible(input))
    if (request.f === "delete" && request.rangeEnd !== undefined && request.rangeEnd !== "") ranges.push(request);
  return ranges;
}

/** Leases that an input attaches or revokes. */
export function leasesOf(input: EtcdInput): readonly string[] {
  if (input.f === "lease-revoke" || input.f === "lease-grant") return [input.id];
  if (!isRequest(input)) return [];
  const leases: string[] = [];
  for (const request of possible(input))
    if (request.f === "put" && request.lease !== undefined && request.lease !== "0") leases.push(request.lease);
  return leases;
}
