import type { Injection } from "../harness/fault.ts";
import type { RunInfo, RunVerdict } from "../harness/run.ts";

const WORD = new Map<boolean | "unknown", string>([
  [true, "held"],
  [false, "VIOLATED"],
  ["unknown", "unknown"],
]);

export interface Results {
  readonly info: Pick<RunInfo, "seed" | "seatrial" | "replay" | "notTried">;
  readonly injections: readonly Injection[];
  readonly verdict: RunVerdict;
  /** Where the page is; absent if it could not be written. */
  readonly report?: string;
}

/** What a run prints on stdout at its end: verdict, suites, faults, where the report is, and how to run it again if it failed. */
export function resultLines({ info, injections, verdict, report }: Results): readonly string[] {
  const lines = [verdict.summary, ""];
  const told = new Map<string, string>();
  for (const suite of verdict.suites) {
    lines.push(`${suite.suite.padEnd(12)} ${WORD.get(suite.valid)}`);
    for (const one of suite.verdicts) {
      if (one.valid === true) continue;
      // A checker of the whole history counts for every suite: its findings are told once.
      const same = JSON.stringify(one);
      const before = told.get(same);
      if (before !== undefined) {
        lines.push(`  ${one.checker}: ${WORD.get(one.valid)}, as in ${before}`);
        continue;
      }
      told.set(same, suite.suite);
      lines.push(`  ${one.checker}: ${WORD.get(one.valid)}${one.why === undefined ? "" : ` (${one.why})`}`);
      for (const finding of one.findings.slice(0, 3)) lines.push(`    ${finding.kind}: ${finding.message}`);
    }
  }
  lines.push(...faultLines(injections), ...info.notTried.map((one) => `not tried: ${one.what} (${one.reason})`), "");
  if (verdict.exitCode !== 0) {
    lines.push(`seed ${info.seed}, commit ${info.seatrial.commit}; to run it again:`, `  ${info.replay}`);
  }
  if (verdict.traceHash !== undefined) lines.push(`trace hash ${verdict.traceHash}`);
  if (report !== undefined) lines.push(`report: ${report}`);
  return lines;
}

function faultLines(injections: readonly Injection[]): readonly string[] {
  const kinds = [...new Set(injections.map((one) => one.fault))].sort();
  return kinds.map((fault) => {
    const results = injections.filter((one) => one.fault === fault).map((one) => one.evidence.result);
    const counted = ["confirmed", "mismatch", "inconclusive"]
      .map((word) => ({ word, count: results.filter((result) => result === word).length }))
      .filter(({ count }) => count > 0);
    return `${fault.padEnd(24)} ${counted.map(({ word, count }) => `${count} ${word}`).join(", ")}`;
  });
}
