import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { RecordingSession } from "../suite.ts";
import type { ClusterView, Target } from "../target.ts";
import { sleepUnlessAborted } from "./nemesis.ts";

const LOOK_EVERY_MS = 100;

/** What keeps a cluster from being whole: absent members, no leader. Empty when it is whole. */
export function whatIsMissing(view: ClusterView): readonly string[] {
  const missing = view.nodes.filter((node) => !node.reachable).map((node) => `${node.node} does not answer`);
  return view.leader === undefined ? [...missing, "there is no leader"] : missing;
}

/** Waits until every member answers and a majority agrees on a leader. Resolves to what is still missing after `withinMs`. */
export async function waitUntilWhole(
  target: Target,
  clock: Clock,
  withinMs: DurationMs,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const end = clock.now() + withinMs;
  for (;;) {
    const missing = await look(target, signal);
    if (missing.length === 0 || clock.now() >= end || signal?.aborted === true) return missing;
    await sleepUnlessAborted(clock, LOOK_EVERY_MS, signal);
  }
}

async function look(target: Target, signal: AbortSignal | undefined): Promise<readonly string[]> {
  try {
    return whatIsMissing(await target.view(signal));
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}

/**
 * Waits until a write through every member is accepted. The writes are recorded like any other,
 * because the checker accounts for every revision. Resolves to what is still missing after `withinMs`.
 */
export async function waitUntilWritable(
  session: (node: string) => RecordingSession,
  nodes: readonly string[],
  clock: Clock,
  withinMs: DurationMs,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  const end = clock.now() + withinMs;
  const missing: string[] = [];
  for (const node of nodes) {
    await using client = session(node);
    for (let attempt = 0; ; attempt++) {
      const outcome = await client.invoke({ f: "put", key: `seatrial/recovered/${node}`, value: String(attempt) });
      if (outcome.type === "ok") break;
      if (clock.now() >= end || signal?.aborted === true) {
        missing.push(`${node} accepts no write (${outcome.code}: ${outcome.message})`);
        break;
      }
      await sleepUnlessAborted(clock, LOOK_EVERY_MS, signal);
    }
  }
  return missing;
}
