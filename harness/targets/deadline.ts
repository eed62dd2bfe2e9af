import type { Clock, DurationMs } from "../../seams/clock.ts";

/** Runs `work` under a signal that is aborted after `ms`, or with `outer`. The work decides what an abort means. */
export async function withDeadline<T>(
  clock: Clock,
  ms: DurationMs,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const done = new AbortController();
  clock.sleep(ms, done.signal).then(
    () => deadline.abort(new Error(`no answer within ${ms} ms`)),
    // The work was done first: the timer's end is the expected one.
    () => undefined,
  );
  try {
    return await work(outer === undefined ? deadline.signal : AbortSignal.any([outer, deadline.signal]));
  } finally {
    done.abort();
  }
}
