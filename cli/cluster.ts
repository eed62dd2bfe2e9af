import type { Json } from "knossos-ts";
import type { Target } from "../harness/target.ts";
import { EndpointsTarget, openTarget } from "../harness/targets/open.ts";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import type { Plan } from "./run-once.ts";

/** What is on trial, ready to be started. */
export async function openClusterFor(plan: Plan, runDir: string): Promise<Target> {
  if (plan.target === "simulation") {
    const { SimulationTarget } = await import("../harness/targets/simulation/target.ts");
    return new SimulationTarget(plan);
  }
  return openTarget(plan.target, {
    nodes: plan.nodes,
    runDir,
    clock: systemClock,
    random: seededRandom(plan.seed).fork("target"),
    ...(plan.endpoints === undefined ? {} : { endpoints: plan.endpoints }),
    allowRemote: plan.allowRemote,
  });
}

/** For a cluster that was there before us: asks what it holds. A cluster of our own begins empty. */
export function initialStateOf(target: Target): (() => Promise<Json>) | undefined {
  if (!(target instanceof EndpointsTarget)) return undefined;
  return async () => (await target.initialState()) as unknown as Json;
}
