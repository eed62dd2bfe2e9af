import { expect, test } from "vitest";
import type { Instant } from "../../seams/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import type { Index } from "../raft/types.ts";
import { Reads } from "./reads.ts";

function setUp(gatherMs = 0) {
  const world = { now: 0, asked: [] as Uint8Array[], done: [] as string[] };
  const reads = new Reads({
    clock: { now: () => world.now as Instant },
    random: seededRandom(1),
    timeoutMs: 7000,
    gatherMs,
    ask: (context) => void world.asked.push(context),
  });
  const read = (name: string) => {
    reads.wait().then(
      () => world.done.push(name),
      (error: Error) => world.done.push(`${name}: ${error.message}`),
    );
  };
  const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  return { world, reads, read, settle };
}

test("reads that arrive while a round is under way wait for the next one", async () => {
  const { world, reads, read, settle } = setUp();
  read("a");
  read("b");
  reads.start();
  read("late");
  reads.start();
  expect(world.asked).toHaveLength(1);
  reads.answered([{ index: 5 as Index, context: world.asked[0] as Uint8Array }], 5);
  await settle();
  expect(world.done).toEqual(["a", "b"]);
  reads.start();
  expect(world.asked).toHaveLength(2);
  // An answer to the first round again is no answer to the second.
  reads.answered([{ index: 5 as Index, context: world.asked[0] as Uint8Array }], 5);
  await settle();
  expect(world.done).toEqual(["a", "b"]);
  reads.answered([{ index: 5 as Index, context: world.asked[1] as Uint8Array }], 5);
  await settle();
  expect(world.done).toEqual(["a", "b", "late"]);
});

test("a confirmed read waits until its index is applied here", async () => {
  const { world, reads, read, settle } = setUp();
  read("a");
  reads.start();
  reads.answered([{ index: 9 as Index, context: world.asked[0] as Uint8Array }], 7);
  reads.applied(8);
  await settle();
  expect(world.done).toEqual([]);
  reads.applied(9);
  await settle();
  expect(world.done).toEqual(["a"]);
});

test("a lost question is asked again with a new context, and the answer to either serves", async () => {
  const { world, reads, read, settle } = setUp();
  read("a");
  reads.start();
  world.now = 499;
  reads.tick();
  expect(world.asked).toHaveLength(1);
  world.now = 500;
  reads.tick();
  reads.leaderChanged();
  expect(world.asked).toHaveLength(3);
  expect(new Set(world.asked.map((context) => Buffer.from(context).toString("hex"))).size).toBe(3);
  reads.answered([{ index: 1 as Index, context: world.asked[0] as Uint8Array }], 1);
  await settle();
  expect(world.done).toEqual(["a"]);
});

test("etcd's words when the time is up, before and after the confirmation, and at the end", async () => {
  const { world, reads, read, settle } = setUp();
  read("unasked");
  world.now = 6999;
  reads.tick();
  world.now = 7000;
  reads.tick();
  read("asked");
  reads.start();
  world.now = 14_000;
  reads.tick();
  read("confirmed");
  reads.start();
  reads.answered([{ index: 9 as Index, context: world.asked.at(-1) as Uint8Array }], 1);
  world.now = 21_000;
  reads.tick();
  read("stopped");
  reads.stop();
  await settle();
  expect(world.done).toEqual([
    "unasked: etcdserver: request timed out",
    "asked: etcdserver: request timed out",
    "confirmed: etcdserver: request timed out, waiting for the applied index took too long",
    "stopped: etcdserver: server stopped",
  ]);
});

test("reads in crowds share rounds that begin at most once in a while; a lone read after it waits for nothing", async () => {
  const { world, reads, read, settle } = setUp(2);
  const answer = () => {
    const context = world.asked.at(-1) as Uint8Array;
    reads.answered([{ index: 5 as Index, context }], 5);
  };
  for (let i = 0; i < 8; i++) read(`crowd ${i}`);
  expect(reads.start()).toBe(0);
  answer();
  world.now = 0.5;
  read("soon");
  expect(reads.start()).toBe(1.5);
  expect(world.asked).toHaveLength(1);
  world.now = 2;
  expect(reads.start()).toBe(0);
  expect(world.asked).toHaveLength(2);
  answer();
  read("lone");
  expect(reads.start()).toBe(0);
  expect(world.asked).toHaveLength(3);
  answer();
  await settle();
  expect(world.done).toHaveLength(10);
});
