import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bare, openInTemporary, whole } from "../../harness/targets/process-target.contract.ts";
import { startGoBetween, type GoBetween, type Lie } from "./go-between.ts";

const launcher = join(import.meta.dirname, "../../bin/seatrial");
const etcdAbsent = spawnSync("etcd", ["--version"]).error !== undefined;

/** The exit code of a whole trial of `endpoints`, as a user would run it, and what it said. */
async function trial(endpoints: readonly string[]): Promise<{ code: number; said: string }> {
  const out = await mkdtemp(join(tmpdir(), "seatrial-lies-"));
  try {
    return await new Promise((resolve) => {
      const args = [
        "run",
        "etcd/kv",
        "etcd/watch",
        "--target",
        "endpoints",
        "--endpoints",
        endpoints.join(","),
        "--duration",
        "3s",
        "--faults",
        "none",
        "--seed",
        "11",
        "--out",
        out,
      ];
      execFile(launcher, args, { env: { ...process.env, CI: "true" } }, (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === "number" ? error.code : 0, said: stdout + stderr });
      });
    });
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

describe.each([
  { store: "reference", absent: false },
  { store: "etcd", absent: etcdAbsent },
])("a go-between before a correct $store", ({ store, absent }) => {
  let cluster: Awaited<ReturnType<typeof openInTemporary>> | undefined;

  beforeAll(async () => {
    if (absent) return;
    cluster = await openInTemporary(store);
    await cluster.target.start(bare);
    await whole(cluster.target);
  });
  afterAll(async () => cluster?.[Symbol.asyncDispose]());
  beforeEach((context) => {
    if (absent) context.skip("no etcd on PATH: apt-get install etcd-server");
  });

  test.each<{ lie: Lie; exit: number; says: RegExp }>([
    { lie: "none", exit: 0, says: /^All held/m },
    { lie: "drop-put", exit: 1, says: /^ *linearizability\/etcd: VIOLATED/m },
    { lie: "stale-read", exit: 1, says: /^ *linearizability\/etcd: VIOLATED/m },
    { lie: "swallow-event", exit: 1, says: /^ *watch(-joined)?: VIOLATED/m },
  ])("that tells this lie: $lie, ends the trial with exit code $exit", async ({ lie, exit, says }) => {
    const between: GoBetween[] = [];
    try {
      for (const node of cluster?.target.nodes ?? []) between.push(await startGoBetween(node.directClientAddress, lie));
      const { code, said } = await trial(between.map(({ address }) => address));
      const lies = between.reduce((sum, one) => sum + one.lies(), 0);
      expect(lies > 0, "whether it lied").toBe(lie !== "none");
      expect(code, said).toBe(exit);
      expect(said).toMatch(says);
      // Who swallows an event leaves the operations as they were.
      if (lie === "swallow-event") expect(said).not.toMatch(/linearizability\/etcd: VIOLATED/);
    } finally {
      for (const one of between) await one[Symbol.asyncDispose]();
    }
  });
});
