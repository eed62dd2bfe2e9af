import { seededRandom } from "../../seams/random.ts";
import type { DurationMs } from "../../seams/clock.ts";
import { UsageError } from "../errors.ts";
import type { Fault, ScheduledFault } from "../fault.ts";

/** Load alone before the first fault, so that every fault has a healthy "before". */
const LEAD_MS = 1_000;
/** Load alone after the last window. */
const TAIL_MS = 1_500;
/** Below this a window and the recovery after it cannot both be seen. */
const SHORTEST_SLOT_MS = 2_000;
/** With more room than this a slot is better spent on another round of every kind. */
const ROOMY_SLOT_MS = 6_000;
/** A window is this share of its slot; what is left is the recovery. */
const WINDOW_SHARE = { least: 0.45, spread: 0.15 };

/** The shortest duration in which each of `kinds` faults can be tried once. */
export function shortestDurationMs(kinds: number): DurationMs {
  return kinds === 0 ? 0 : LEAD_MS + TAIL_MS + kinds * SHORTEST_SLOT_MS;
}

/**
 * What is injected when: a pure function of its arguments. Every kind comes once a round, in an order drawn from the seed;
 * one fault at a time, with a gap to recover in. Plans stay symbolic ("the leader"): they are resolved at injection.
 * Throws a UsageError when the duration is too short to try each kind once.
 */
export function planSchedule(
  seed: number,
  faults: readonly Fault[],
  nodes: readonly string[],
  durationMs: DurationMs,
): readonly ScheduledFault[] {
  if (faults.length === 0) return [];
  const shortest = shortestDurationMs(faults.length);
  if (durationMs < shortest) {
    throw new UsageError(
      `--duration ${durationMs / 1000}s is too short to try ${faults.length} kinds of fault; ` +
        `give at least ${Math.ceil(shortest / 1000)}s, or fewer --faults.`,
    );
  }
  const random = seededRandom(seed).fork("schedule");
  const room = durationMs - LEAD_MS - TAIL_MS;
  const rounds = Math.max(1, Math.floor(room / (faults.length * ROOMY_SLOT_MS)));
  const slotMs = room / (rounds * faults.length);
  const scheduled: ScheduledFault[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const fault of shuffled(faults, random.fork(`order/${round}`))) {
      const id = scheduled.length;
      const own = random.fork(`fault/${id}`);
      scheduled.push({
        id,
        fault: fault.name,
        plan: fault.plan(own.fork("plan"), nodes),
        atMs: Math.round(LEAD_MS + id * slotMs),
        forMs: Math.round(slotMs * (WINDOW_SHARE.least + WINDOW_SHARE.spread * own.float())),
      });
    }
  }
  return scheduled;
}

function shuffled<T>(items: readonly T[], random: { below(bound: number): number }): readonly T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.below(left.length), 1));
  return order;
}
