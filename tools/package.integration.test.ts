import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
let folder = "";

interface Ended {
  readonly code: number;
  readonly out: string;
  /** Both streams, for a failing assertion's message. */
  readonly said: string;
}

async function run(command: string, args: readonly string[], cwd: string): Promise<Ended> {
  return await new Promise((resolve) => {
    execFile(
      command,
      args,
      { cwd, env: { ...process.env, CI: "true" }, maxBuffer: 1 << 26 },
      (error, stdout, stderr) => {
        resolve({
          code: error === null ? 0 : typeof error.code === "number" ? error.code : 1,
          out: stdout,
          said: stdout + stderr,
        });
      },
    );
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seatrial-package-"));
  const packed = await run("npm", ["pack", "--pack-destination", folder], root);
  expect(packed.code, packed.said).toBe(0);
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "";
  await writeFile(join(folder, "package.json"), '{ "private": true }\n');
  const installed = await run(
    "npm",
    ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${tarball}`],
    folder,
  );
  expect(installed.code, installed.said).toBe(0);
}, 180_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

test("from the tarball, in an empty folder: a trial with a fault holds, its run can be checked again, and a bad word is refused", async () => {
  const trial = await run(
    "npx",
    ["seatrial", "run", "etcd/kv", "--duration", "6s", "--faults", "kill", "--seed", "1", "--out", "runs"],
    folder,
  );
  expect(trial.code, trial.said).toBe(0);
  expect(trial.said).toContain("1 confirmed");
  const checked = await run("npx", ["seatrial", "check", "runs/latest", "--json"], folder);
  expect(checked.code, checked.said).toBe(0);
  expect(JSON.parse(checked.out)).toMatchObject({ valid: true });
  const refused = await run("npx", ["seatrial", "run", "etcd/nothing"], folder);
  expect(refused.code, refused.said).toBe(2);
});

test("what is packed is what a user needs: no sources, no tests", async () => {
  const names = await readdir(join(folder, "node_modules/seatrial"), { recursive: true });
  const ours = names.filter((name) => !name.startsWith("node_modules"));
  expect(ours).toContain("bin/seatrial");
  expect(ours).toContain("dist/cli/main.js");
  expect(
    ours.filter((name) => /\.(test|contract)\./.test(name) || (name.endsWith(".ts") && !name.endsWith(".d.ts"))),
  ).toEqual([]);
});
