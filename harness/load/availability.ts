/** Successes nearer to each other than this are one: gaps are told to a millisecond, and memory is bounded by the length of the run. */
const RESOLUTION_NS = 1_000_000;

/** The moments of success of a run, thinned. */
export class SuccessTimes {
  readonly #slots = new Map<number, { first: number; last: number }>();

  add(timeNs: number): void {
    const slot = Math.floor(timeNs / RESOLUTION_NS);
    const seen = this.#slots.get(slot);
    if (seen === undefined) this.#slots.set(slot, { first: timeNs, last: timeNs });
    else if (timeNs < seen.first) seen.first = timeNs;
    else if (timeNs > seen.last) seen.last = timeNs;
  }

  /** First and last of each millisecond, in order: the gaps between milliseconds are exact. */
  sorted(): readonly number[] {
    return [...this.#slots.values()].flatMap(({ first, last }) => [first, last]).sort((a, b) => a - b);
  }
}

/** The longest part of [from, to] without a success; all of it if there was none. `times` in order. */
export function longestGapNs(times: readonly number[], from: number, to: number): number {
  let longest = 0;
  let since = from;
  for (const time of times) {
    if (time < from) continue;
    if (time > to) break;
    longest = Math.max(longest, time - since);
    since = time;
  }
  return Math.max(longest, to - since, 0);
}
