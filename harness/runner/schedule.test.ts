import { fc, test as property } from "@fast-check/vitest";
import { expect, test } from "vitest";
import { isUsageError } from "../errors.ts";
import { fakeFault } from "./fakes.ts";
import { planSchedule, shortestDurationMs } from "./schedule.ts";

const NODES = ["n1", "n2", "n3"];
const faultsNamed = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    fakeFault(`f${index}`, { calls: [] }, { plan: (random) => ["leader", "a follower"][random.below(2)] ?? "" }),
  );

property.prop([fc.nat(), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 120_000 })])(
  "each kind comes, one at a time with a gap, within the duration",
  (seed, kinds, extraMs) => {
    const faults = faultsNamed(kinds);
    const durationMs = shortestDurationMs(kinds) + extraMs;
    const schedule = planSchedule(seed, faults, NODES, durationMs);
    expect(new Set(schedule.map((one) => one.fault))).toEqual(new Set(faults.map((fault) => fault.name)));
    expect(schedule.map((one) => one.id)).toEqual(schedule.map((_, index) => index));
    for (const [index, one] of schedule.entries()) {
      const next = schedule[index + 1]?.atMs ?? durationMs;
      expect(one.forMs).toBeGreaterThanOrEqual(800);
      // What is left of the slot is for recovery.
      expect(next - (one.atMs + one.forMs)).toBeGreaterThanOrEqual(700);
    }
  },
);

property.prop([fc.nat()])("it is a function of the seed alone", (seed) => {
  const draw = (from: number) => planSchedule(from, faultsNamed(5), NODES, 60_000);
  expect(draw(seed)).toEqual(draw(seed));
});

test("another seed gives another order or other plans", () => {
  const drawn = new Set([1, 2, 3, 4].map((seed) => JSON.stringify(planSchedule(seed, faultsNamed(6), NODES, 30_000))));
  expect(drawn.size).toBe(4);
});

test("a long run tries each kind more than once", () => {
  const schedule = planSchedule(1, faultsNamed(2), NODES, 60_000);
  expect(schedule.filter((one) => one.fault === "f0").length).toBeGreaterThan(2);
});

test("a duration too short for every kind is refused with the one that would do", () => {
  try {
    planSchedule(1, faultsNamed(9), NODES, 5_000);
    expect.unreachable();
  } catch (error) {
    expect(isUsageError(error)).toBe(true);
    expect(String(error)).toMatch(/--duration 5s is too short to try 9 kinds of fault; give at least 21s/);
  }
});

test("no faults, no schedule", () => {
  expect(planSchedule(1, [], NODES, 10)).toEqual([]);
});
