/**
 * The one place where the core reads a clock: a budget decides when to say "unknown", never what is true.
 * Callers that have a clock of their own pass it as `now` (milliseconds, monotonic).
 */
export class Budget {
  readonly #now: () => number;
  readonly #deadline: number;
  readonly #began: number;

  constructor(timeLimitMs: number = Number.POSITIVE_INFINITY, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#began = now();
    this.#deadline = this.#began + timeLimitMs;
  }

  /** A budget with this share of what is left. */
  share(part: number): Budget {
    return part >= 1 ? this : new Budget(this.remainingMs * part, this.#now);
  }

  get spent(): boolean {
    return this.#now() > this.#deadline;
  }

  /** Whole milliseconds since the budget was opened. */
  get elapsedMs(): number {
    return Math.round(this.#now() - this.#began);
  }

  get remainingMs(): number {
    return Math.max(0, this.#deadline - this.#now());
  }
}
