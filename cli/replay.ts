import { UsageError } from "../harness/errors.ts";
import { readRun } from "../harness/run-directory.ts";
import type { Run } from "../harness/run.ts";
import { findByName } from "../harness/runner/selection.ts";
import { suiteCatalogue } from "../suites/index.ts";
import { runOnce, type Plan } from "./run-once.ts";

export interface ReplayWords {
  readonly untilFails?: number;
  readonly out?: string;
}

/**
 * Repeats a run. In the simulation the result is the same; on real processes the choices and the schedule of faults are,
 * and `untilFails` repeats them up to so many times. Resolves to the last run's exit code.
 */
export async function replayCommand(directory: string, words: ReplayWords): Promise<number> {
  const plan = planOfRun(readRun(directory), words.out ?? "runs");
  const times = words.untilFails ?? 1;
  let code = 0;
  for (let time = 1; time <= times; time++) {
    if (times > 1) process.stderr.write(`replay ${time} of up to ${times}\n`);
    const verdict = await runOnce(plan);
    code = verdict.exitCode;
    if (code === 1 || verdict.interrupted !== undefined) break;
  }
  return code;
}

function planOfRun(run: Run, out: string): Plan {
  const { options, seed, schedule } = run.info;
  if (options.target === "endpoints" && options.endpoints === undefined) {
    throw new UsageError(`${run.directory} does not say which endpoints it ran on; run it again with --endpoints.`);
  }
  return {
    suites: options.suites.map((name) => findByName("suite", suiteCatalogue, name)),
    suitesNamed: true,
    target: options.target,
    ...(options.endpoints === undefined ? {} : { endpoints: options.endpoints }),
    nodes: options.nodes,
    seed,
    durationMs: options.durationMs,
    defaultDurationMs: options.durationMs,
    faults: options.faults.length === 0 ? "none" : options.faults,
    schedule,
    ...(options.plant === undefined ? {} : { plant: options.plant }),
    ...(options.ratePerSecond === undefined ? {} : { ratePerSecond: options.ratePerSecond }),
    // It was allowed when the run was made.
    allowRemote: true,
    out,
    open: false,
  };
}
