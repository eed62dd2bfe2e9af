import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyStep, anyWorld, Run, StepCommand, type Plant } from "./rehearsal/steps.ts";
import type { Property } from "./rehearsal/safety.ts";
import { pureRules } from "./rules.ts";
import type { RaftCore } from "./types.ts";

const campaignFactor = Number(process.env["SEATRIAL_RUNS"] ?? "1");
const always = () => true;

function trial(plant: Plant, afterwards: (run: Run) => void = () => {}) {
  const commands = fc.commands([anyStep.map((step) => new StepCommand(step))], { maxCommands: 200, size: "max" });
  return fc.property(anyWorld, commands, (world, steps) => {
    const run = new Run(world, plant);
    fc.modelRun(() => ({ model: {}, real: run }), steps);
    afterwards(run);
  });
}

describe("Raft's safety", () => {
  it("holds whatever the network, the disks and the crashes do", () => {
    fc.assert(trial({ rules: pureRules }), { numRuns: 500 * campaignFactor });
  });
});
