import type { DurationMs } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import type { RecordingSession, WorkloadContext } from "../../harness/suite.ts";

/** After a failure a client waits about this long, so that a dead member is not hammered. */
const BACK_OFF_MS: DurationMs = 50;

/** A session on a node of the context's choice. */
export function sessionAnywhere(context: WorkloadContext): RecordingSession {
  return context.session(pick(context.random, context.nodes));
}

/** Waits a little and goes on at another member. This is a new operation to come, never a retry of the last. */
export async function moveOn(context: WorkloadContext, session: RecordingSession): Promise<void> {
  await pause(context, BACK_OFF_MS * (0.5 + context.random.float()));
  const others = context.nodes.filter((node) => node !== session.node);
  if (others.length > 0 && !context.signal.aborted) await session.moveTo(pick(context.random, others));
}

/** Sleeps; returns early when the load is to stop. */
export async function pause(context: WorkloadContext, ms: DurationMs): Promise<void> {
  try {
    await context.clock.sleep(ms, context.signal);
  } catch (error) {
    if (!context.signal.aborted) throw error;
  }
}

export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[random.below(Math.max(1, items.length))];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}
