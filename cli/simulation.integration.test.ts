import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";

const LAUNCHER = fileURLToPath(new URL("../bin/seatrial", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "seatrial-simulation-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

function seatrial(...argv: string[]): { code: number | null; said: string; hash: string | undefined } {
  const { status, stdout } = spawnSync(LAUNCHER, [...argv, "--out", out], { encoding: "utf8" });
  return { code: status, said: stdout, hash: /^trace hash ([0-9a-f]{16})$/m.exec(stdout)?.[1] };
}

const SHORT = ["etcd/kv", "--target", "simulation", "--duration", "6s", "--faults", "power-loss"];

test("a seed has one trace hash, in the run directory too, and replay has it again", () => {
  const first = seatrial("run", ...SHORT, "--seed", "4");
  expect(first.code, first.said).toBe(0);
  expect(first.hash).toBeDefined();
  const verdict = JSON.parse(readFileSync(join(out, "latest", "verdict.json"), "utf8")) as { traceHash: string };
  expect(verdict.traceHash).toBe(first.hash);
  expect(seatrial("replay", join(out, "latest")).hash).toBe(first.hash);
  expect(seatrial("run", ...SHORT, "--seed", "5").hash).not.toBe(first.hash);
});

test("a planted bug is a violation, and the command that shows it again names it", () => {
  const caught = seatrial(
    "run",
    "etcd/watch",
    "--target",
    "simulation",
    "--duration",
    "6s",
    "--faults",
    "power-loss",
    "--seed",
    "4",
    "--plant",
    "skipped-event",
  );
  expect(caught.code, caught.said).toBe(1);
  expect(caught.said).toMatch(/--target simulation .*--seed 4 .*--plant skipped-event/);
});
