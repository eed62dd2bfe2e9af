import type { RunVerdict } from "../../run.ts";
import { runTrial, type TrialParts } from "../../runner/trial.ts";
import type { Target } from "../../target.ts";
import { SimulationTarget } from "./target.ts";

/** A trial's parts without those that the world provides. */
export type SimulatedParts = Omit<TrialParts, "target" | "clock" | "journal" | "connect" | "initial" | "traceHash"> & {
  readonly target: Target;
};

/** The ordinary trial in simulated time. Nothing outlives this process, so there is nothing to journal; the judging is in real time again. */
export function runSimulated(parts: SimulatedParts): Promise<RunVerdict> {
  const { target } = parts;
  if (!(target instanceof SimulationTarget)) throw new Error(`${target.name} is no simulation`);
  return target.conduct((leave) =>
    runTrial({
      ...parts,
      target,
      clock: target.clock,
      journal: { record: async () => 0, done: async () => {} },
      connect: (address) => target.connect(address),
      judge: async (suites) => {
        leave();
        return [...(await parts.judge(suites)), target.verdict()];
      },
      traceHash: () => target.traceHash,
    }),
  );
}
