import { expect, test } from "vitest";
import { resultLines } from "./results.ts";

test("what one checker found is told once, however many suites it counts for", () => {
  const finding = { kind: "duplicate-revision", message: "two writes made revision 16", operations: [28, 29] };
  const verdicts = [{ valid: false, checker: "linearizability/etcd", findings: [finding], stats: {} }] as const;
  const lines = resultLines({
    info: { seed: 1, seatrial: { version: "0", commit: "c" }, replay: "seatrial run --seed 1", notTried: [] },
    injections: [],
    verdict: {
      valid: false,
      exitCode: 1,
      summary: "Violated",
      cells: [],
      suites: ["etcd/kv", "etcd/watch"].map((suite) => ({ suite, guarantee: "g", valid: false as const, verdicts })),
    },
  });
  expect(lines.filter((line) => line.includes(finding.message))).toHaveLength(1);
  expect(lines).toContain("  linearizability/etcd: VIOLATED, as in etcd/kv");
});
