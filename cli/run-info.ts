import { cpus, totalmem } from "node:os";
import type { RunInfo } from "../harness/run.ts";
import { commandOf } from "./command-line.ts";
import type { Chosen, Plan } from "./run-once.ts";
import { commit, version } from "./version.ts";

export function timestamp(): string {
  return new Date().toISOString();
}

/** Sorts by time and can be typed: `20261121-143005-<seed>`. */
export function runIdOf(seed: number): string {
  const [day, time] = timestamp().replaceAll(/[-:]/g, "").split("T") as [string, string];
  // The pid keeps two runs of one seed apart that begin in the same second.
  return `${day}-${time.slice(0, 6)}-${seed}-${process.pid}`;
}

/** run.json before the run: what it will do, on what, and how to do it again. */
export function runInfoOf(plan: Plan, id: string, chosen: Chosen): Omit<RunInfo, "versions" | "finishedAt"> {
  const options: RunInfo["options"] = {
    suites: chosen.suites.map((suite) => suite.name),
    target: plan.target,
    nodes: plan.nodes,
    durationMs: chosen.durationMs,
    faults: chosen.faults.map((fault) => fault.name),
    ...(plan.endpoints === undefined ? {} : { endpoints: plan.endpoints }),
    ...(plan.plant === undefined ? {} : { plant: plan.plant }),
    ...(plan.ratePerSecond === undefined ? {} : { ratePerSecond: plan.ratePerSecond }),
  };
  return {
    format: 1,
    id,
    seed: plan.seed,
    startedAt: timestamp(),
    seatrial: { version: version(), commit: commit() },
    command: ["seatrial", ...process.argv.slice(2)].join(" "),
    replay: commandOf({ ...options, seed: plan.seed }),
    options,
    host: {
      platform: `${process.platform}-${process.arch}`,
      cpus: cpus().length,
      memoryBytes: totalmem(),
      node: process.version,
    },
    schedule: chosen.schedule,
    notTried: chosen.notTried,
  };
}
