import { expect, test } from "vitest";
import { judge } from "./evidence.ts";
import { cannotTell, fails, holds } from "./reading.ts";

const yes = holds("1");
const no = fails("0");
const perhaps = cannotTell("?");

test.each([
  ["confirmed", yes, yes, yes],
  ["mismatch", yes, no, yes],
  ["mismatch", yes, yes, no],
  ["mismatch", yes, perhaps, no],
  ["inconclusive", yes, perhaps, yes],
  ["inconclusive", yes, yes, perhaps],
  ["inconclusive", no, yes, yes],
  ["inconclusive", perhaps, no, no],
] as const)("%s", (result, before, during, healed) => {
  expect(judge(before, during, healed)).toBe(result);
});
