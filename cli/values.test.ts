import { expect, test } from "vitest";
import { commandOf } from "./command-line.ts";
import { mayOpen } from "./open-page.ts";
import { durationMs, faultNames, folder, wholeNumber, words } from "./values.ts";

test("durations have units", () => {
  expect(["500ms", "30s", "1.5m", "2h"].map((text) => durationMs("--d", text))).toEqual([
    500, 30_000, 90_000, 7_200_000,
  ]);
  for (const wrong of ["", "s", "1", "1 s", "1d", "1e3s", "NaNs", "Infinitys"])
    expect(() => durationMs("--d", wrong)).toThrow(/not a duration/);
});

test("whole numbers are digits only", () => {
  expect(wholeNumber("--n", "7", 1, 9)).toBe(7);
  for (const wrong of ["", " 7", "0x7", "7.0", "1e0", "10"])
    expect(() => wholeNumber("--n", wrong, 1, 9)).toThrow(/from 1 to 9/);
});

test("an empty folder is refused", () => {
  expect(folder("--out", "runs")).toBe("runs");
  expect(() => folder("--out", "")).toThrow("--out is empty; give a folder.");
});

test("lists are words with commas", () => {
  expect(words("--w", "a, b")).toEqual(["a", "b"]);
  expect(faultNames("all")).toBe("all");
  expect(faultNames("kill")).toEqual(["kill"]);
});

test("the replay command says every choice and quotes what a shell would read", () => {
  const said = {
    suites: ["etcd/kv"],
    target: "/opt/my etcd",
    nodes: 3,
    seed: 7,
    durationMs: 5000,
    faults: ["kill", "pause"],
    ratePerSecond: 50,
  };
  expect(commandOf(said)).toMatch(
    /run etcd\/kv --target '\/opt\/my etcd' --nodes 3 --seed 7 --duration 5000ms --faults kill,pause --rate 50$/,
  );
  expect(commandOf({ ...said, endpoints: ["127.0.0.1:1"], faults: [] })).toMatch(
    /--endpoints 127\.0\.0\.1:1 --seed 7 --duration 5000ms --faults none/,
  );
});

test("no browser under CI or without a terminal", () => {
  expect(mayOpen({}, true)).toBe(true);
  expect(mayOpen({ CI: "true" }, true)).toBe(false);
  expect(mayOpen({}, false)).toBe(false);
});
