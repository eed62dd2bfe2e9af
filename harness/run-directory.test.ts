import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UsageError } from "./errors.ts";
import { createRunDirectory, readRun, RunDirectoryFailed } from "./run-directory.ts";
import type { RunInfo } from "./run.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "seatrial-runs-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const writer = { pid: 1, started: "1" };
const info = { format: 1, id: "a", seed: 7 } as unknown as RunInfo;

test("what is written is read back, and latest points at it", () => {
  const directory = createRunDirectory(join(folder, "runs"), "a", writer);
  directory.writeInfo(info);
  const lines = directory.lines("faults.jsonl");
  lines.write('{"id":0}\n');
  lines.write('{"id":1}\n');
  directory.close();
  const run = readRun(join(folder, "runs", "latest"));
  expect(run.info.seed).toBe(7);
  expect(run.injections.map((one) => one.id)).toEqual([0, 1]);
  expect(run.verdict).toBeUndefined();
  expect(readlinkSync(join(folder, "runs", "latest"))).toBe("a");
});

test("a torn last line is dropped; a damaged line is named", () => {
  const directory = createRunDirectory(folder, "a", writer);
  directory.writeInfo(info);
  writeFileSync(join(directory.path, "faults.jsonl"), '{"id":0}\n{"id":');
  expect(readRun(directory.path).injections).toHaveLength(1);
  writeFileSync(join(directory.path, "faults.jsonl"), '{"id":0}\noops\n{"id":2}\n');
  expect(() => readRun(directory.path)).toThrow(/faults\.jsonl:2 is damaged/);
});

test("a folder that cannot be written is one sentence that names it", () => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  expect(() => createRunDirectory(file, "a", writer)).toThrow(UsageError);
  expect(() => createRunDirectory(file, "a", writer)).toThrow(
    /run directory .*a-file\/a cannot be written \(ENOTDIR\)/,
  );
});

test.skipIf(process.platform !== "linux")("a place where nothing can be made is refused, not waited for", () => {
  expect(() => createRunDirectory("/proc/seatrial", "a", writer)).toThrow(UsageError);
});

test("a full disk is the system's error on a line, and one sentence on a whole file", () => {
  const directory = createRunDirectory(folder, "a", writer);
  symlinkSync("/dev/full", join(directory.path, "history.jsonl"));
  symlinkSync("/dev/full", join(directory.path, "run.json"));
  expect(() => directory.lines("history.jsonl").write("x\n")).toThrow(/ENOSPC/);
  expect(() => directory.writeInfo(info)).toThrow(RunDirectoryFailed);
  directory.close();
});

test("a folder that is no run, or one with a damaged run.json, is refused", () => {
  expect(() => readRun(join(folder, "nothing"))).toThrow(/is not a run: it has no run\.json/);
  mkdirSync(join(folder, "b"));
  writeFileSync(join(folder, "b", "run.json"), "{");
  expect(() => readRun(join(folder, "b"))).toThrow(/run\.json is damaged/);
});

test("the writer is named, so that clean can tell a killed run from a living one", () => {
  const directory = createRunDirectory(folder, "a", { pid: 12, started: "34" });
  expect(JSON.parse(readFileSync(join(directory.path, "writer.json"), "utf8"))).toEqual({ pid: 12, started: "34" });
});
