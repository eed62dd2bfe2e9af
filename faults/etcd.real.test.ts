import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ClusterView, Target } from "../harness/target.ts";
import { openTarget } from "../harness/targets/open.ts";
import { readProcessJournal } from "../harness/targets/process-journal.ts";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import { faultByName, faultCatalogue } from "./index.ts";
import { live } from "./rehearsal/life.ts";

const absent = spawnSync("etcd", ["--version"]).error !== undefined;
const usable = faultCatalogue.filter(({ needs }) => !needs.includes("fault-channel"));

describe("on three members of etcd", () => {
  let runDir: string;
  let target: Target;
  beforeEach((context) => {
    if (absent) context.skip("no etcd on PATH: apt-get install etcd-server");
  });
  beforeAll(async () => {
    if (absent) return;
    runDir = mkdtempSync(join(tmpdir(), "seatrial-faults-"));
    target = await openTarget("etcd", { nodes: 3, runDir, clock: systemClock, random: seededRandom(`faults/${process.pid}`) });
    await target.start({ wrapper: [], env: {}, links: true, faultChannel: false, extraArgs: [] });
    await viewThat(target, isWhole);
  });
  afterAll(async () => {
    if (absent) return;
    await target[Symbol.asyncDispose]();
    expect(readProcessJournal(runDir)).toEqual([]);
    expect(readdirSync(runDir)).not.toContain("data");
    rmSync(runDir, { recursive: true });
  });

  test.each(usable.map((fault) => [fault.name, fault] as const))("%s is confirmed, and the cluster is whole again", async (name, fault) => {
    await viewThat(target, isWhole);
    const life = await live(fault, target, { seed: 11, duringMs: 5_000, healedMs: 15_000 });
    expect(life.result, JSON.stringify(life, null, 2)).toBe("confirmed");
    process.stderr.write(`${name}: ${life.before.text} | ${life.during.text} | ${life.healed.text}\n`);
    await viewThat(target, isWhole);
    expect(await (await fetch(`${target.linksApi ?? ""}/rules`)).json()).toEqual([]);
  });

  test("a leader that is cut off is replaced, and its own connections were among those cut", async () => {
    const partition = faultByName("partition-leader");
    if (partition === undefined) throw new Error("no such fault");
    const old = (await viewThat(target, isWhole)).leader;
    let now: string | undefined;
    const life = await live(partition, target, {
      seed: 1, duringMs: 5_000, healedMs: 15_000,
      whileInjected: async () => {
        now = (await viewThat(target, ({ leader }) => leader !== undefined && leader !== old)).leader;
      },
    });
    expect(life.result).toBe("confirmed");
    expect(now).not.toBe(old);
    expect(life.during.figures?.["membersCut"]).toBeGreaterThan(0);
  });
});

const isWhole = (view: ClusterView): boolean => view.leader !== undefined && view.nodes.every(({ reachable }) => reachable);

async function viewThat(target: Target, holds: (view: ClusterView) => boolean): Promise<ClusterView> {
  const end = systemClock.now() + 20_000;
  for (;;) {
    const view = await target.view();
    if (holds(view)) return view;
    if (systemClock.now() > end) throw new Error(`not within 20 s: ${JSON.stringify(view)}`);
    await systemClock.sleep(100);
  }
}
