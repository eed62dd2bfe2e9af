import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const built = (version: string) => join(root, ".cache/bin", `etcd-${version}`);

/** The exit code of a short trial, as a user would run it, and what it said. */
async function trial(target: string): Promise<{ code: number; said: string }> {
  const out = await mkdtemp(join(tmpdir(), "seatrial-compacted-"));
  const args = ["run", "etcd/watch-compacted", "--target", target, "--duration", "4s", "--faults", "none"];
  try {
    return await new Promise((resolve) => {
      execFile(
        join(root, "bin/seatrial"),
        [...args, "--seed", "3", "--out", out],
        { env: { ...process.env, CI: "true" } },
        (error, stdout, stderr) => {
          resolve({
            code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1,
            said: stdout + stderr,
          });
        },
      );
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

const onPath = /etcd Version: 3\.(\d+)\.(\d+)/.exec(String(spawnSync("etcd", ["--version"]).stdout ?? ""));
const forgets =
  onPath !== null && (onPath[1] === "4" ? Number(onPath[2]) < 34 : onPath[1] === "5" && Number(onPath[2]) < 16);

test("an etcd that forgets deletions at the compacted revision is caught", async (context) => {
  if (!forgets) context.skip("the etcd on PATH is none before 3.4.34: apt-get install etcd-server");
  const { code, said } = await trial("etcd");
  expect(code, said).toBe(1);
  expect(said).toMatch(/never told (the deletion|it)/);
});

test("a start at the compacted revision is served by our own store, and nothing is missing", async () => {
  const { code, said } = await trial("reference");
  expect(code, said).toBe(0);
});

test.for(["3.5", "3.6", "3.7"])("etcd %s keeps them", async (version, context) => {
  if (!existsSync(built(version))) context.skip(`no etcd ${version}: tools/install-real-parts etcd-${version}`);
  const { code, said } = await trial(built(version));
  expect(code, said).toBe(0);
});
