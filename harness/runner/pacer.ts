import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import { sleepUnlessAborted } from "./nemesis.ts";

/** Waits for the time of the next operation and says when it should have begun. */
export type Pace = (random: Random, signal: AbortSignal) => Promise<{ readonly intended: number }>;

/**
 * Open loop: operations are due at a fixed rate from `clock.now()` on, whether or not a worker is free.
 * An operation that finds no free worker starts late, and its latency counts from when it was due (no coordinated omission).
 */
export function openLoop(clock: Clock, perSecond: number): Pace {
  const begun = clock.now();
  let next = 0;
  return async (_random, signal) => {
    const intended = begun + (next++ * 1000) / perSecond;
    await sleepUnlessAborted(clock, intended - clock.now(), signal);
    return { intended };
  };
}

/** Closed loop: each worker pauses for a random time (uniform, `meanThinkMs` on average) after its last answer. */
export function closedLoop(clock: Clock, meanThinkMs: DurationMs): Pace {
  return async (random, signal) => {
    await sleepUnlessAborted(clock, random.float() * 2 * meanThinkMs, signal);
    return { intended: clock.now() };
  };
}
