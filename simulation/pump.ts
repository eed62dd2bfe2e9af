import { setImmediate as nextTurn } from "node:timers/promises";
import type { World } from "./world.ts";

/**
 * Runs a world for code that knows of none, such as a contract suite: whatever is scheduled happens at once, until disposed.
 * What such code awaits in real time decides the order of events, so this is not for runs whose hash matters.
 */
export function pump(world: World): AsyncDisposable {
  let stopped = false;
  const isStopped = (): boolean => stopped;
  const running = (async () => {
    while (!isStopped()) {
      await world.run({ done: isStopped });
      await nextTurn();
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopped = true;
      await running;
    },
  };
}
