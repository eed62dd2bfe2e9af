import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Fault } from "../harness/fault.ts";
import { seededRandom } from "../seams/random.ts";
import { FakeCluster } from "./rehearsal/fake-cluster.ts";
import { live } from "./rehearsal/life.ts";
import { faultByName, faultCatalogue } from "./index.ts";

const names = [
  "kill",
  "pause",
  "partition-one",
  "partition-leader",
  "partition-majority",
  "latency-peer",
  "latency-client",
  "reset",
  "slow-fsync",
  "fail-fsync",
];

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await FakeCluster.start();
});
afterAll(() => cluster[Symbol.asyncDispose]());

test("the catalogue is what the command line offers", () => {
  expect(faultCatalogue.map(({ name }) => name)).toEqual(names);
  expect(faultByName("gremlin")).toBeUndefined();
  for (const fault of faultCatalogue) expect(fault.needs.length, fault.name).toBeGreaterThan(0);
});

describe.each(faultCatalogue.map((fault) => [fault.name, fault] as const))("%s", (_name, fault) => {
  test("is confirmed, heals, heals again, and leaves nothing behind", async () => {
    const life = await live(fault, cluster, { seed: 7, duringMs: 3_000, healedMs: 5_000 });
    expect(life.result, JSON.stringify(life, null, 2)).toBe("confirmed");
    for (const { text } of [life.before, life.during, life.healed]) expect(text).toMatch(/\d/);
    await fault.heal(life.undo, cluster);
    const view = await cluster.view();
    expect(view.nodes.every(({ running }) => running)).toBe(true);
    expect(await leftovers()).toEqual({ rules: [], toxics: [] });
  });

  test("an injector that does nothing is a mismatch", async () => {
    const idle: Fault = { ...fault, inject: async () => {} };
    const life = await live(idle, cluster, { seed: 7, duringMs: 300, healedMs: 300 });
    expect(life.during.holds, life.during.text).toBe(false);
    expect(life.result).toBe("mismatch");
  });

  test("a heal that does nothing is a mismatch", async () => {
    const lasting: Fault = { ...fault, heal: async () => {} };
    const life = await live(lasting, cluster, { seed: 7, duringMs: 3_000, healedMs: 300 });
    expect(life.during.holds, life.during.text).toBe(true);
    expect(life.result, life.healed.text).toBe("mismatch");
    await fault.heal(life.undo, cluster);
  });

  test("its undo harms nobody when the harness is gone, and its plan is the seed's", async () => {
    const view = await cluster.view();
    const nodes = cluster.nodes.map(({ name }) => name);
    const plan = (seed: number) => fault.plan(seededRandom(seed), nodes);
    expect(plan(3)).toEqual(plan(3));
    const context = {
      target: cluster,
      clock: { now: () => 0 as never, wallMs: () => 0, sleep: async () => {} },
      signal: new AbortController().signal,
      linksApi: cluster.linksApi,
    };
    await fault.heal(fault.undo(context, fault.resolve(plan(3), view)));
    expect(await cluster.view()).toEqual(view);
  });
});

async function leftovers(): Promise<{ readonly rules: unknown; readonly toxics: readonly unknown[] }> {
  const get = async (path: string) =>
    (await fetch(cluster.linksApi + path)).json() as Promise<Record<string, { toxics: unknown[] }>>;
  const proxies = await get("/proxies");
  return { rules: await get("/rules"), toxics: Object.values(proxies).flatMap(({ toxics }) => toxics) };
}
