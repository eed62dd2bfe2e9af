import { expect, test } from "vitest";
import type { Network, NetworkHandler, NodeId } from "../seams/network.ts";
import { CALM_LINK, LinkError, SimulatedNetwork } from "./network.ts";
import { runUntilSettled, World, type Life } from "./world.ts";

const A = 1n as NodeId;
const B = 2n as NodeId;
const never = new AbortController().signal;

interface Pair {
  world: World;
  network: SimulatedNetwork;
  a: Network;
  b: Network;
  lifeA: Life;
  lifeB: Life;
  received: string[];
}

function pair(seed: number, handler: Partial<NetworkHandler> = {}): Pair {
  const world = new World(seed);
  const network = new SimulatedNetwork(world);
  const lifeA = world.begin("a");
  const lifeB = world.begin("b");
  const a = network.join(A, lifeA);
  const b = network.join(B, lifeB);
  const received: string[] = [];
  b.receive(listener(received, handler));
  return { world, network, a, b, lifeA, lifeB, received };
}

function listener(received: string[], handler: Partial<NetworkHandler> = {}): NetworkHandler {
  return {
    message: (from, bytes) => received.push(`${from}:${Buffer.from(bytes).toString()}`),
    snapshot: async (_, stream) => {
      for await (const chunk of stream) received.push(Buffer.from(chunk).toString());
    },
    request: async (_, method, body) => Buffer.from(`${method} ${Buffer.from(body).toString()}`),
    ...handler,
  };
}

async function* streamOf(...chunks: string[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

test("a calm link delivers every message once; unequal delays reorder", async () => {
  const { world, a, received } = pair(1);
  const sent = Array.from({ length: 50 }, (_, i) => `1:${i}`);
  for (let i = 0; i < 50; i++) a.send(B, Buffer.from(String(i)));
  await world.run({});
  expect(received).not.toEqual(sent);
  expect(received.toSorted()).toEqual(sent.toSorted());
});

test("a message is what it was when it was sent", async () => {
  const { world, a, received } = pair(1);
  const bytes = Buffer.from("before");
  a.send(B, bytes);
  bytes.fill(0x21);
  await world.run({});
  expect(received).toEqual(["1:before"]);
});

test("loss and duplication are as often as asked for", async () => {
  const { world, network, a, received } = pair(1);
  network.heal({ ...CALM_LINK, lossPermille: 300, duplicatePermille: 200 });
  for (let i = 0; i < 1000; i++) a.send(B, Buffer.from(String(i)));
  await world.run({});
  const distinct = new Set(received).size;
  expect(distinct).toBeGreaterThan(620);
  expect(distinct).toBeLessThan(780);
  expect(received.length - distinct).toBeGreaterThan(80);
});

test("a cut is of one direction, takes what is in the air, and heals", async () => {
  const { world, network, a, b, received } = pair(1);
  const back: string[] = [];
  a.receive(listener(back));
  a.send(B, Buffer.from("in the air"));
  network.shape(A, B, { cut: true });
  a.send(B, Buffer.from("cut"));
  b.send(A, Buffer.from("the other way"));
  await world.run({});
  expect(received).toEqual([]);
  expect(back).toEqual(["2:the other way"]);
  network.partition([A], [B]);
  b.send(A, Buffer.from("cut"));
  await world.run({});
  network.heal();
  a.send(B, Buffer.from("healed"));
  await world.run({});
  expect(received).toEqual(["1:healed"]);
  expect(back.length).toBe(1);
});

test("a message reaches the receiver's new life; an ended life sends nothing", async () => {
  const { world, network, a, lifeA, lifeB, received } = pair(1);
  a.send(B, Buffer.from("late"));
  lifeB.end();
  const young: string[] = [];
  network.join(B, world.begin("b")).receive(listener(young));
  await world.run({});
  lifeA.end();
  a.send(B, Buffer.from("ghost"));
  await world.run({});
  expect(received).toEqual([]);
  expect(young).toEqual(["1:late"]);
});

test("requests are answered, and fail as the other side fails", async () => {
  const { world, a } = pair(1, {
    request: async (_, method, body) => (method === "ok" ? body : Promise.reject(new Error("refused"))),
  });
  expect(Buffer.from(await runUntilSettled(world, a.request(B, "ok", Buffer.from("x"), never))).toString()).toBe("x");
  await expect(runUntilSettled(world, a.request(B, "bad", Buffer.from("x"), never))).rejects.toThrow("refused");
});

test("a request breaks: link cut, nobody there, other side ended, caller's signal", async () => {
  let stopped: unknown;
  const hang = (_: NodeId, __: string, ___: Uint8Array, signal: AbortSignal) =>
    new Promise<Uint8Array>(() => signal.addEventListener("abort", () => (stopped = signal.reason)));
  const cut = pair(1);
  cut.network.shape(A, B, { cut: true });
  await expect(runUntilSettled(cut.world, cut.a.request(B, "m", Buffer.alloc(0), never))).rejects.toThrow(LinkError);
  expect(cut.world.nowMs).toBeGreaterThanOrEqual(1000);

  const absent = pair(1);
  await expect(
    runUntilSettled(absent.world, absent.a.request(3n as NodeId, "m", Buffer.alloc(0), never)),
  ).rejects.toThrow(/nobody answers/);

  const ended = pair(1, { request: hang });
  ended.world.after(5, "crash", () => ended.lifeB.end());
  await expect(runUntilSettled(ended.world, ended.a.request(B, "m", Buffer.alloc(0), never))).rejects.toThrow(
    /other side ended/,
  );

  const aborted = pair(1, { request: hang });
  const controller = new AbortController();
  const reason = new Error("deadline");
  aborted.world.after(5, "abort", () => controller.abort(reason));
  await expect(
    runUntilSettled(aborted.world, aborted.a.request(B, "m", Buffer.alloc(0), controller.signal)),
  ).rejects.toBe(reason);
  expect(stopped).toBe(reason);
});

test("an answer to an ended life goes nowhere, and the one who serves it is told", async () => {
  let told = false;
  const { world, a, lifeA } = pair(1, {
    request: (_, __, body, signal) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => {
          told = true;
          resolve(body);
        });
      }),
  });
  let answered = false;
  void a.request(B, "m", Buffer.alloc(0), never).finally(() => (answered = true));
  world.after(5, "crash", () => lifeA.end());
  await world.run({});
  expect([told, answered]).toEqual([true, false]);
});

test("a snapshot stream arrives whole and in order; resolving means the receiver is done", async () => {
  const { world, a, received } = pair(1);
  await runUntilSettled(world, a.sendSnapshot(B, streamOf("one", "two", "three"), never));
  expect(received).toEqual(["one", "two", "three"]);
});

test("a snapshot stream that breaks ends with an error on both sides", async () => {
  let seen: unknown;
  const snapshot: NetworkHandler["snapshot"] = async (_, stream) => {
    try {
      for await (const _chunk of stream) continue;
    } catch (error) {
      seen = error;
      throw error;
    }
  };
  const { world, network, a } = pair(1, { snapshot });
  let closed = false;
  async function* endless(): AsyncIterable<Uint8Array> {
    try {
      for (;;) yield Buffer.from("more");
    } finally {
      closed = true;
    }
  }
  world.after(20, "cut", () => network.partition([A], [B]));
  await expect(runUntilSettled(world, a.sendSnapshot(B, endless(), never))).rejects.toThrow(LinkError);
  await world.run({});
  expect(seen).toBeInstanceOf(LinkError);
  expect(closed).toBe(true);
});

test("a receiver that ends mid-stream is heard of by the sender, and reads no more", async () => {
  let chunks = 0;
  const { world, a, lifeB } = pair(1, {
    snapshot: async (_, stream) => {
      for await (const _chunk of stream) chunks++;
    },
  });
  async function* endless(): AsyncIterable<Uint8Array> {
    for (;;) yield Buffer.from("more");
  }
  let atEnd = 0;
  world.after(20, "crash", () => {
    lifeB.end();
    atEnd = chunks;
  });
  await expect(runUntilSettled(world, a.sendSnapshot(B, endless(), never))).rejects.toThrow(/other side ended/);
  await world.run({});
  expect(atEnd).toBeGreaterThan(3);
  expect(chunks).toBe(atEnd);
});

test("the same seed gives the same trace hash, another seed another", async () => {
  const trial = async (seed: number): Promise<string> => {
    const { world, network, a } = pair(seed);
    network.heal({ cut: false, delayMs: [0, 20], lossPermille: 100, duplicatePermille: 100 });
    for (let i = 0; i < 100; i++) a.send(B, Buffer.from(String(i)));
    await world.run({});
    return world.traceHash;
  };
  expect(await trial(1)).toBe(await trial(1));
  expect(await trial(1)).not.toBe(await trial(2));
});
