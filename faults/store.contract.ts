import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectEtcd } from "../harness/clients/etcd.ts";
import type { ClusterView, Target } from "../harness/target.ts";
import { openTarget } from "../harness/targets/open.ts";
import { readProcessJournal } from "../harness/targets/process-journal.ts";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import { partitionLeader } from "./network/partition.ts";
import { faultCatalogue } from "./index.ts";
import { live } from "./rehearsal/life.ts";

const PUT_WITHIN_MS = 1_000;
const WHOLE_WITHIN_MS = 20_000;

/** What every store behind the process target must let be done to it, three members under writes. `names`: the faults that it must take. */
export function faultsOnStoreContract(spec: string, names: readonly string[]): void {
  const stopLoad = new AbortController();
  let load: Promise<void>;
  let runDir: string;
  let target: Target;

  beforeAll(async () => {
    runDir = mkdtempSync(join(tmpdir(), "seatrial-faults-"));
    target = await openTarget(spec, {
      nodes: 3,
      runDir,
      clock: systemClock,
      random: seededRandom(`faults/${process.pid}`),
    });
    await target.start({ wrapper: [], env: {}, links: true, faultChannel: target.has("fault-channel"), extraArgs: [] });
    await viewThat(target, isWhole);
    load = putUntil(target, stopLoad.signal);
  });
  afterAll(async () => {
    stopLoad.abort();
    await load;
    await target[Symbol.asyncDispose]();
    expect(readProcessJournal(runDir)).toEqual([]);
    expect(readdirSync(runDir)).not.toContain("data");
    rmSync(runDir, { recursive: true });
  });

  test("takes the faults that it says it can", () => {
    const usable = faultCatalogue.filter(({ needs }) => needs.every((need) => target.has(need)));
    expect(usable.map(({ name }) => name)).toEqual(names);
  });

  test.each(names)("%s is confirmed, and the cluster is whole again", async (name) => {
    const fault = faultCatalogue.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`no fault ${name}`);
    await viewThat(target, isWhole);
    const life = await live(fault, target, { seed: 11, duringMs: 5_000, healedMs: 15_000 });
    expect(life.result, JSON.stringify(life, null, 2)).toBe("confirmed");
    await viewThat(target, isWhole);
    expect(await (await fetch(`${target.linksApi ?? ""}/rules`)).json()).toEqual([]);
  });

  test("a leader that is cut off is replaced, and its own connections were among those cut", async () => {
    const old = (await viewThat(target, isWhole)).leader;
    let now: string | undefined;
    const life = await live(partitionLeader, target, {
      seed: 1,
      duringMs: 5_000,
      healedMs: 15_000,
      whileInjected: async () => {
        now = (await viewThat(target, ({ leader }) => leader !== undefined && leader !== old)).leader;
      },
    });
    expect(life.result, JSON.stringify(life, null, 2)).toBe("confirmed");
    expect(now).not.toBe(old);
    expect(life.during.figures?.["membersCut"]).toBeGreaterThan(0);
    await viewThat(target, isWhole);
  });
}

/** A few writes a second through each member; what becomes of them is no matter here. */
async function putUntil(target: Target, stop: AbortSignal): Promise<void> {
  await Promise.all(
    target.nodes.map(async ({ name }) => {
      for (let i = 0; !stop.aborted; i++) {
        const limit = new AbortController();
        await using client = connectEtcd(target.endpoint(name), { clock: systemClock });
        const late = systemClock.sleep(PUT_WITHIN_MS, limit.signal).then(
          () => limit.abort(),
          () => undefined,
        );
        await client.invoke({ f: "put", key: `load/${name}`, value: String(i) }, AbortSignal.any([stop, limit.signal]));
        limit.abort();
        await late;
        await systemClock.sleep(50);
      }
    }),
  );
}

const isWhole = (view: ClusterView): boolean =>
  view.leader !== undefined && view.nodes.every(({ reachable }) => reachable);

async function viewThat(target: Target, holds: (view: ClusterView) => boolean): Promise<ClusterView> {
  const end = systemClock.now() + WHOLE_WITHIN_MS;
  for (;;) {
    const view = await target.view();
    if (holds(view)) return view;
    if (systemClock.now() > end) throw new Error(`not within ${WHOLE_WITHIN_MS} ms: ${JSON.stringify(view)}`);
    await systemClock.sleep(100);
  }
}
