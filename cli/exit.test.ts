import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { UsageError } from "../harness/errors.ts";
import { RunDirectoryFailed } from "../harness/run-directory.ts";
import { report } from "./exit.ts";

const said: string[] = [];
beforeEach(() => {
  said.length = 0;
  vi.stubEnv("SEATRIAL_DEBUG", undefined);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => said.push(String(text)) > 0);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });

test.for<[error: unknown, code: number, says: RegExp]>([
  [new UsageError("there is no suite 'x'."), 2, /^seatrial: there is no suite 'x'\.\n$/],
  [new RunDirectoryFailed("the run directory r cannot be written."), 2, /cannot be written\.\n$/],
  [full, 2, /a file cannot be written \(ENOSPC.*give --out a folder with room/],
  [
    new TypeError("x is not\na function"),
    3,
    /^seatrial: x is not a function \(a fault of seatrial's own: SEATRIAL_DEBUG=1 shows where\)\n$/,
  ],
])("%s ends with %i and one sentence", ([error, code, says]) => {
  expect(report(error)).toBe(code);
  expect(said.join("")).toMatch(says);
  expect(said.join("").trim().split("\n")).toHaveLength(1);
});

test("a stack comes only when asked for", () => {
  vi.stubEnv("SEATRIAL_DEBUG", "1");
  report(new TypeError("oops"));
  expect(said.join("")).toMatch(/TypeError: oops\n\s+at /);
});
