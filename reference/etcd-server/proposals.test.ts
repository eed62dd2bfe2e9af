import { expect, test } from "vitest";
import { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import { PutRequest } from "../../api/etcd/gen/rpc.ts";
import type { Instant } from "../../seams/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import type { Index, Message, Term } from "../raft/types.ts";
import { clusterId, memberId } from "./cluster-id.ts";
import { PersistQueue } from "./persist-queue.ts";
import { Proposals } from "./proposals.ts";

const put = { put: PutRequest.fromPartial({ key: Buffer.from("k"), value: Buffer.from("v") }) };

function setUp(maxRequestBytes = 1000) {
  const world = { now: 0, log: [] as InternalRaftRequest[], takes: true };
  const proposals = new Proposals({
    clock: { now: () => world.now as Instant },
    random: seededRandom(1),
    memberId: 0x1234_5678n,
    timeoutMs: 7000,
    maxRequestBytes,
  });
  const feed = () =>
    proposals.feed((data) => {
      if (!world.takes) return "dropped";
      world.log.push(InternalRaftRequest.decode(data));
      return "accepted";
    });
  const settle = (i: number) =>
    proposals.settle({ index: i as Index, requestId: world.log[i]?.header?.ID ?? 0n, response: { kind: "none" } });
  return { world, proposals, feed, settle };
}

test("a request gets the result of its own entry, whatever the order", async () => {
  const { world, proposals, feed, settle } = setUp();
  const both = [proposals.add(put), proposals.add(put)];
  feed();
  expect(Buffer.from(world.log[0]?.put?.key ?? []).toString()).toBe("k");
  expect(new Set(world.log.map(({ header }) => header?.ID)).size).toBe(2);
  settle(1);
  settle(0);
  settle(0);
  expect((await Promise.all(both)).map(({ index }) => index)).toEqual([0, 1]);
});

test("what raft does not take stays queued, in order", () => {
  const { world, proposals, feed } = setUp();
  void proposals.add(put);
  void proposals.add({ put: { ...put.put, key: Buffer.from("second") } });
  world.takes = false;
  feed();
  expect(proposals.queued).toBe(2);
  world.takes = true;
  feed();
  expect(proposals.queued).toBe(0);
  expect(world.log.map((request) => Buffer.from(request.put?.key ?? []).toString())).toEqual(["k", "second"]);
});

test("etcd's words when the time is up, by what became of the leader; a late result finds nobody", async () => {
  const { world, proposals, feed, settle } = setUp();
  const first = proposals.add(put);
  feed();
  world.now = 7000;
  proposals.expire(undefined, 1000);
  await expect(first).rejects.toThrow(/^etcdserver: request timed out$/);
  settle(0);
  const second = proposals.add(put);
  world.now = 14_000;
  proposals.expire(7500 as Instant, 1000);
  await expect(second).rejects.toThrow("possibly due to previous leader failure");
  // A request that was answered is not sent after all.
  feed();
  expect(world.log).toHaveLength(1);
  const third = proposals.add(put);
  proposals.stop();
  await expect(third).rejects.toMatchObject({ code: 14, message: "etcdserver: server stopped" });
});

test("a request that is too large, and one too many", async () => {
  const { proposals } = setUp(50);
  await expect(proposals.add({ put: { ...put.put, value: Buffer.alloc(50) } })).rejects.toMatchObject({
    code: 3,
    message: "etcdserver: request is too large",
  });
  for (let i = 0; i < 20_000; i++) proposals.add(put).catch(() => undefined);
  await expect(proposals.add(put)).rejects.toMatchObject({ code: 8, message: "etcdserver: too many requests" });
});

test("a Ready is reported durable only after those before it, and nothing after a failure", async () => {
  const saves: { resolve: () => void; reject: (cause: Error) => void }[] = [];
  const seen: string[] = [];
  const queue = new PersistQueue({
    wal: { save: () => new Promise<void>((resolve, reject) => void saves.push({ resolve, reject })) },
    done: ({ last, afterPersist }) => void seen.push(`${last?.index ?? "-"}:${afterPersist.length}`),
    failed: (cause) => void seen.push(String(cause)),
  });
  const entry = (index: number) => ({
    index: index as Index,
    term: 1 as Term,
    type: "normal" as const,
    data: new Uint8Array(),
  });
  const message = { type: "appendResponse" } as Message;
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  queue.add({ entries: [entry(1)], mustSync: true, afterPersist: [message] }, undefined);
  // An acknowledgement that repeats the first entry, and writes nothing itself.
  queue.add({ entries: [], mustSync: true, afterPersist: [message, message] }, undefined);
  queue.add({ entries: [entry(2)], mustSync: true, afterPersist: [] }, undefined);
  expect(queue.busy).toBe(true);
  saves[1]?.resolve();
  await settle();
  expect(seen).toEqual([]);
  saves[0]?.resolve();
  await settle();
  expect(seen).toEqual(["1:1", "-:2", "2:0"]);
  expect(queue.busy).toBe(false);
  queue.add({ entries: [entry(3)], mustSync: true, afterPersist: [message] }, undefined);
  queue.add({ entries: [entry(4)], mustSync: true, afterPersist: [message] }, undefined);
  saves[2]?.reject(new Error("EIO"));
  saves[3]?.resolve();
  await settle();
  expect(seen.slice(3)).toEqual(["Error: EIO"]);
});

test("ids are etcd's", () => {
  // From a real etcd 3.4 started with these URLs and the default token.
  expect(memberId(["http://localhost:2380"], "etcd-cluster").toString(16)).toBe("8e9e05c52164694d");
  expect(clusterId([memberId(["http://localhost:2380"], "etcd-cluster")]).toString(16)).toBe("cdf818194e3a8c32");
});

test("what only this leader may decide does not go to the next one", async () => {
  const { world, proposals, feed } = setUp();
  let leads = true;
  world.takes = false;
  const revoke = proposals.add({ leaseRevoke: { ID: 1n } }, () => leads);
  feed();
  leads = false;
  world.takes = true;
  feed();
  await expect(revoke).rejects.toThrow("not leader");
  expect(world.log).toEqual([]);
});
