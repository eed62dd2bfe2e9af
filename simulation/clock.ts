import type { Clock, Instant } from "../seams/clock.ts";
import type { Life } from "./world.ts";

/** 2026-01-01T00:00:00Z: where every simulated wall clock begins. */
const EPOCH_MS = 1_767_225_600_000;

export interface ClockShape {
  /** How much faster than true time it runs, in parts per million; negative is slower. */
  readonly driftPpm?: number;
  /** How far the wall clock is off. */
  readonly wallOffsetMs?: number;
}

/** One process's clock. Its monotonic origin is its own, so that comparing instants of two members is soon caught. */
export function simulatedClock(life: Life, shape: ClockShape = {}): Clock {
  const { world } = life;
  const origin = world.random.fork(`clock ${life.label}`).below(1_000_000);
  const rate = 1 + (shape.driftPpm ?? 0) / 1_000_000;
  return {
    now: () => (origin + world.nowMs * rate) as Instant,
    wallMs: () => Math.floor(EPOCH_MS + world.nowMs * rate + (shape.wallOffsetMs ?? 0)),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (!life.alive) return;
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = () => {
          timer.cancel();
          reject(signal?.reason as Error);
        };
        const timer = world.after(
          Math.max(0, ms / rate),
          `${life.label} wakes`,
          () => {
            signal?.removeEventListener("abort", onAbort);
            resolve();
          },
          life,
        );
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
  };
}
