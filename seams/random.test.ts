import { expect, test } from "vitest";
import { seededRandom } from "./random.ts";

test("the same seed gives the same stream, another seed another", () => {
  const draw = (seed: number) =>
    Array.from(
      { length: 8 },
      (
        (random) => () =>
          random.uint32()
      )(seededRandom(seed)),
    );
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("a fork depends on the label, not on what was drawn before it", () => {
  const a = seededRandom(1);
  const b = seededRandom(1);
  b.uint32();
  expect(a.fork("faults").uint32()).toBe(b.fork("faults").uint32());
  expect(a.fork("faults").uint32()).not.toBe(a.fork("clients").uint32());
});

test("below stays below, and reaches every value", () => {
  const random = seededRandom("spread");
  const seen = new Set(Array.from({ length: 400 }, () => random.below(7)));
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
