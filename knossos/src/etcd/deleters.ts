import type { Facts } from "./facts.ts";
import { upperBound } from "./order.ts";

/** Missing revisions of one key, ascending, each with the candidates, by number, that may have deleted the key there. */
interface Deletions {
  readonly gaps: number[];
  readonly by: number[][];
}

/**
 * Who can have deleted a key, and so which puts the next sighting of the key rules out at once.
 *
 * If a key is put at revision r and is absent at R >= r (or its next record was created at R + 1), then a revision in (r, R] deleted it. Every
 * revision there is either made by an acknowledged writer, whose answer tells what it deleted, or missing, and then made by one of the
 * candidates that are left for it: an operation in doubt, the end of a lease, a revoke. If none of them may delete the key, the put
 * was not at r, however the other missing revisions are filled. A candidate acts once, so what put the key at r did not delete it later.
 * Foreign writers are no candidates: with them nothing is ruled out here, and this class is not asked.
 */
export class Deleters {
  readonly #facts: Facts;
  readonly #deletions = new Map<string, Deletions>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** To be called by ascending missing revision. */
  add(key: string, gap: number, number: number): void {
    let deletions = this.#deletions.get(key);
    if (deletions === undefined) {
      deletions = { gaps: [], by: [] };
      this.#deletions.set(key, deletions);
    }
    if (deletions.gaps.at(-1) === gap) {
      deletions.by.at(-1)?.push(number);
    } else {
      deletions.gaps.push(gap);
      deletions.by.push([number]);
    }
  }

  /** Missing revisions in (after, before) at which some candidate may have deleted the key. */
  between(key: string, after: number, before: number): readonly number[] {
    const deletions = this.#deletions.get(key);
    if (deletions === undefined) return [];
    return deletions.gaps.slice(upperBound(deletions.gaps, after), upperBound(deletions.gaps, before - 1));
  }

  /** Whether a put of the key at this missing revision by this candidate is contradicted by what is known of the key next. */
  ruleOut(key: string, gap: number, number: number): boolean {
    const gone = this.#facts.goneBefore(key, gap);
    if (gone === Number.POSITIVE_INFINITY || this.#facts.deletedBetween(key, gap, gone)) return false;
    const deletions = this.#deletions.get(key);
    if (deletions === undefined) return true;
    for (let i = upperBound(deletions.gaps, gap); i < deletions.gaps.length; i++) {
      if ((deletions.gaps[i] as number) >= gone) return true;
      if ((deletions.by[i] as number[]).some((other) => other !== number)) return false;
    }
    return true;
  }
}
