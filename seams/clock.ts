/** A point on one monotonic clock, in milliseconds (fractions allowed). The origin is arbitrary: only differences mean anything. */
export type Instant = number & { readonly __brand: "Instant" };

/** A length of time in milliseconds. */
export type DurationMs = number;

/**
 * The only source of time. Real: `seams/node/clock.ts`; simulated: `simulation/clock.ts`.
 * Consensus never reads it (it is told by `tick()`); apply never reads it at all.
 */
export interface Clock {
  /** Monotonic time. */
  now(): Instant;
  /** Wall-clock time in milliseconds since the epoch. It may jump; never compute a duration from it. */
  wallMs(): number;
  /** Resolves after `ms` of monotonic time; rejects with `signal.reason` once the signal is aborted. */
  sleep(ms: DurationMs, signal?: AbortSignal): Promise<void>;
}
