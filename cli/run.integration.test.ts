import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readRun } from "../harness/run-directory.ts";
import { isAlive } from "../harness/targets/process-journal.ts";
import { systemClock } from "../seams/node/clock.ts";
import { seatrial, survivorsOf, underLoad } from "./spawned.ts";

let out: string;
beforeEach(() => (out = mkdtempSync(join(tmpdir(), "seatrial-run-"))));
afterEach(() => rmSync(out, { recursive: true, force: true }));

test("a short run on the reference store holds under a kill and a slow disk", async () => {
  const { code, stdout, stderr } = await seatrial(
    "run",
    "kv",
    "watch",
    "lock",
    "--faults",
    "kill,slow-fsync",
    "--duration",
    "8s",
    "--seed",
    "4",
    "--out",
    out,
  ).ended;
  expect(code, stdout + stderr).toBe(0);
  const run = readRun(join(out, "latest"));
  expect(new Set(run.injections.map((one) => one.evidence.result))).toEqual(new Set(["confirmed"]));
  expect(run.verdict).toMatchObject({ valid: true, exitCode: 0 });
});

test("Ctrl-C while a fault is under way: it is healed, what there is is judged, no process is left", async () => {
  const { child, ended } = seatrial(
    "run",
    "etcd/kv",
    "--faults",
    "pause",
    "--duration",
    "300s",
    "--seed",
    "1",
    "--out",
    out,
  );
  const processes = await underLoad(out);
  const faultUnderWay = () => readFileSync(join(out, "latest", "history.jsonl"), "utf8").includes('"type":"fault"');
  while (!faultUnderWay()) await systemClock.sleep(50);
  child.kill("SIGTERM");
  const { stdout, stderr } = await ended;
  const { injections, verdict } = readRun(join(out, "latest"));
  expect(
    injections.map((one) => one.fault),
    stdout + stderr,
  ).toEqual(["pause"]);
  expect(injections[0]?.evidence.healed.holds).toBe(true);
  expect(verdict).toMatchObject({ valid: true, interrupted: expect.any(String) });
  expect(await survivorsOf(processes)).toEqual([]);
});

test("a harness that is killed while a member is paused: clean lets it go and ends it", async () => {
  const { child, ended } = seatrial(
    "run",
    "etcd/kv",
    "--faults",
    "pause",
    "--duration",
    "300s",
    "--seed",
    "2",
    "--out",
    out,
  );
  const processes = await underLoad(out);
  while (!readFileSync(join(out, "latest", "history.jsonl"), "utf8").includes('"type":"fault"'))
    await systemClock.sleep(50);
  child.kill("SIGKILL");
  await ended;
  expect(processes.filter(isAlive)).toHaveLength(3);
  const cleaned = await seatrial("clean", out).ended;
  expect(cleaned.code, cleaned.stdout + cleaned.stderr).toBe(0);
  expect(cleaned.stdout).toMatch(/healed pause/);
  expect(processes.filter(isAlive)).toEqual([]);
});
