import type { Validity } from "knossos-ts";
import type { Injection } from "../fault.ts";
import type { Cell, RunVerdict } from "../run.ts";

/** What the one sentence of a verdict is made from. */
export interface Outcome {
  readonly valid: Validity;
  readonly exitCode: number;
  readonly suites: RunVerdict["suites"];
  readonly cells: readonly Cell[];
  readonly problems: readonly string[];
  readonly injections: readonly Injection[];
}

/** One sentence: what held, what was violated, or why it is not settled. */
export function summaryOf(outcome: Outcome): string {
  const verdicts = outcome.suites.flatMap((suite) => suite.verdicts);
  if (outcome.valid === false) {
    const violated = outcome.suites.filter((suite) => suite.valid === false).map((suite) => suite.suite);
    const first = verdicts.find((one) => one.valid === false)?.findings[0]?.message;
    return `Violated: ${violated.join(", ")}${first === undefined ? "." : `: ${first}`}`;
  }
  const [problem] = outcome.problems;
  if (problem !== undefined) return `Not settled: ${problem}.`;
  if (outcome.valid === "unknown") {
    const why = verdicts.find((one) => one.valid === "unknown")?.why;
    return `Not settled: ${why ?? "nothing could be judged"}.`;
  }
  if (outcome.exitCode === 3) {
    const open = [...new Set(outcome.cells.filter((cell) => !cell.conclusive).map((cell) => cell.fault))];
    const what = open.length === 0 ? "no fault took effect" : `these faults were not confirmed: ${open.join(", ")}`;
    return `Not settled: no guarantee was refuted, but ${what}.`;
  }
  const held = outcome.suites.map((suite) => suite.suite).join(", ");
  const count = outcome.injections.length;
  const under = count === 0 ? "without faults" : `under ${count} injected fault${count === 1 ? "" : "s"}`;
  return `All held: ${held}, ${under}.`;
}
