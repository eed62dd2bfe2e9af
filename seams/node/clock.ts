import type { Clock, Instant } from "../clock.ts";

/** setTimeout fires at once when asked for more than a signed 32-bit count of milliseconds. */
const LONGEST_TIMER_MS = 0x7fff_ffff;

/** The process's own clock: CLOCK_MONOTONIC for `now`, the wall clock for `wallMs`. */
export const systemClock: Clock = {
  now: () => performance.now() as Instant,
  wallMs: () => Date.now(),
  async sleep(ms, signal) {
    const end = performance.now() + ms;
    do {
      await timer(Math.min(Math.max(0, end - performance.now()), LONGEST_TIMER_MS), signal);
    } while (performance.now() < end);
  },
};

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = () => {
      clearTimeout(handle);
      reject(signal?.reason as Error);
    };
    const handle = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
