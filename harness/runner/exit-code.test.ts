import type { Validity } from "knossos-ts";
import { expect, test } from "vitest";
import type { Injection } from "../fault.ts";
import { cellsOf, exitCodeOf } from "./exit-code.ts";

const reading = { holds: true, text: "" } as const;
const injection = (fault: string, result: Injection["evidence"]["result"]): Injection => ({
  id: 0,
  fault,
  envelope: "within",
  plan: null,
  resolved: null,
  on: [],
  plannedAt: 0,
  injectedAt: 0,
  healedAt: 0,
  evidence: { result, before: reading, during: reading, healed: reading },
});
const planned = (...faults: string[]) => faults.map((fault, id) => ({ id, fault, plan: null, atMs: 0, forMs: 1 }));

test.for<[valid: Validity, results: Injection["evidence"]["result"][], unwritable: boolean, code: number]>([
  [true, ["confirmed"], false, 0],
  [true, ["confirmed", "inconclusive"], false, 0],
  [true, ["confirmed", "mismatch"], false, 3],
  [true, ["inconclusive"], false, 3],
  [true, [], false, 3],
  ["unknown", ["confirmed"], false, 3],
  ["unknown", ["confirmed"], true, 2],
  [true, ["confirmed"], true, 2],
  [false, ["confirmed"], true, 1],
  [false, ["mismatch"], false, 1],
  [false, [], true, 1],
])("valid %s, evidence %s, unwritable %s: exit code %i", ([valid, results, unwritable, code]) => {
  const cells = cellsOf(
    ["s"],
    planned("kill"),
    results.map((result) => injection("kill", result)),
    false,
  );
  expect(exitCodeOf({ valid, cells, planned: 1, unwritable })).toBe(code);
});

test("a run without planned faults needs no evidence", () => {
  expect(exitCodeOf({ valid: true, cells: [], planned: 0, unwritable: false })).toBe(0);
});

test("a planned kind that was never injected is inconclusive, and named", () => {
  const cells = cellsOf(["s"], planned("kill", "pause"), [injection("kill", "confirmed")], false);
  expect(cells.filter((cell) => !cell.conclusive).map((cell) => cell.fault)).toEqual(["pause"]);
  expect(exitCodeOf({ valid: true, cells, planned: 2, unwritable: false })).toBe(3);
});

test("an interrupted run answers for the faults it came to, and for nothing if it came to none", () => {
  const schedule = planned("kill", "pause");
  const cells = cellsOf(["s"], schedule, [injection("kill", "confirmed")], true);
  expect(exitCodeOf({ valid: true, cells, planned: 2, unwritable: false })).toBe(0);
  expect(exitCodeOf({ valid: true, cells: cellsOf(["s"], schedule, [], true), planned: 2, unwritable: false })).toBe(3);
});
