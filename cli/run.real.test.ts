import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RunVerdict } from "../harness/run.ts";
import { readRun } from "../harness/run-directory.ts";
import { isAlive, readProcessJournal } from "../harness/targets/process-journal.ts";
import { seatrial, survivorsOf, underLoad } from "./spawned.ts";

const etcdAbsent = spawnSync("etcd", ["--version"]).error !== undefined;

let out: string;
beforeEach((context) => {
  if (etcdAbsent) context.skip("no etcd on PATH: apt-get install etcd-server");
  out = mkdtempSync(join(tmpdir(), "seatrial-run-"));
});
afterEach(() => rmSync(out, { recursive: true, force: true }));

const verdictOf = () => JSON.parse(readFileSync(join(out, "latest", "verdict.json"), "utf8")) as RunVerdict;

test("a short run on a real etcd holds, writes every file of a run and leaves no process", async () => {
  const { code, stdout, stderr } = await seatrial(
    "run",
    "kv",
    "watch",
    "--target",
    "etcd",
    "--faults",
    "kill,pause",
    "--duration",
    "8s",
    "--seed",
    "3",
    "--out",
    out,
  ).ended;
  expect(code, stdout + stderr).toBe(0);
  expect(stdout).toMatch(/^All held: etcd\/kv, etcd\/watch, under 2 injected faults\.$/m);
  expect(stdout).toMatch(/report: .*index\.html/);
  expect(stderr).toMatch(/seed 3, commit /);
  expect(stderr).not.toContain("\u001b");
  const run = readRun(join(out, "latest"));
  expect(run.injections.map((one) => [one.fault, one.evidence.result]).sort()).toEqual([
    ["kill", "confirmed"],
    ["pause", "confirmed"],
  ]);
  expect(run.verdict?.cells.every((cell) => cell.conclusive)).toBe(true);
  expect(run.metrics.some((line) => line.type === "latency")).toBe(true);
  expect(readdirSync(join(out, "latest"))).toEqual(
    expect.arrayContaining(["index.html", "junit.xml", "summary.md", "logs", "history.jsonl"]),
  );
  expect(readProcessJournal(join(out, "latest"))).toEqual([]);

  const page = join(out, "latest", "index.html");
  rmSync(page);
  expect(await seatrial("report", join(out, "latest")).ended).toMatchObject({ code: 0, stdout: `${page}\n` });
  expect(readFileSync(page, "utf8")).toMatch(/<html/i);
});

test("Ctrl-C heals, judges what there is and leaves no process", async () => {
  const { child, ended } = seatrial(
    "run",
    "etcd/kv",
    "--target",
    "etcd",
    "--faults",
    "none",
    "--duration",
    "300s",
    "--out",
    out,
  );
  const processes = await underLoad(out);
  expect(processes.filter(isAlive)).toHaveLength(3);
  child.kill("SIGINT");
  const { code, stdout } = await ended;
  expect(code, stdout).toBe(0);
  expect(verdictOf()).toMatchObject({ valid: true, interrupted: expect.any(String) });
  expect(processes.filter(isAlive)).toEqual([]);
});

test("a second Ctrl-C ends at once and leaves no process", async () => {
  const { child, ended } = seatrial(
    "run",
    "etcd/kv",
    "--target",
    "etcd",
    "--faults",
    "none",
    "--duration",
    "300s",
    "--out",
    out,
  );
  const processes = await underLoad(out);
  child.kill("SIGINT");
  // Two signals at once may be heard as one.
  await new Promise((resolve) => setTimeout(resolve, 100));
  child.kill("SIGINT");
  const { code } = await ended;
  expect([0, 3]).toContain(code);
  expect(await survivorsOf(processes)).toEqual([]);
});

test("what a killed harness leaves behind, clean removes; a run under way it leaves alone", async () => {
  const first = seatrial("run", "etcd/kv", "--target", "etcd", "--faults", "pause", "--duration", "300s", "--out", out);
  const processes = await underLoad(out);
  const during = await seatrial("clean", out).ended;
  expect(during.stdout).toMatch(/still under way, left alone/);
  expect(processes.filter(isAlive)).toHaveLength(3);
  first.child.kill("SIGKILL");
  await first.ended;
  expect(processes.filter(isAlive)).toHaveLength(3);
  const after = await seatrial("clean", out).ended;
  expect(after.code, after.stdout + after.stderr).toBe(0);
  expect(after.stdout.match(/ended process/g)).toHaveLength(3);
  expect(processes.filter(isAlive)).toEqual([]);
  expect((await seatrial("clean", out).ended).stdout).toBe("nothing was left behind\n");
});

test("a replay repeats seed, suites and schedule", async () => {
  await seatrial(
    "run",
    "etcd/kv",
    "--target",
    "etcd",
    "--faults",
    "kill",
    "--duration",
    "5s",
    "--seed",
    "9",
    "--out",
    out,
  ).ended;
  const first = readRun(join(out, "latest"));
  const { code, stdout, stderr } = await seatrial("replay", first.directory, "--out", out).ended;
  expect(code, stdout + stderr).toBe(0);
  const second = readRun(join(out, "latest"));
  expect(second.info.id).not.toBe(first.info.id);
  expect(second.info).toMatchObject({ seed: 9, schedule: first.info.schedule, options: first.info.options });
});
