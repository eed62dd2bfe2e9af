import { expect, test } from "vitest";
import { median, short, table } from "./table.ts";

test("the median is the middle", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([10, 9])).toBe(9.5);
  expect(median([])).toBeNaN();
});

test("figures keep three digits", () => {
  expect([0.4567, 12.345, 999, 1_234, 17_900, 1_234_567, Number.NaN].map(short)).toEqual([
    "0.457",
    "12.3",
    "999",
    "1.23k",
    "17.9k",
    "1.23M",
    "-",
  ]);
});

test("columns line up", () =>
  expect(
    table([
      ["load", "a"],
      ["put", "12"],
    ]),
  ).toBe("load   a\nput   12"));
