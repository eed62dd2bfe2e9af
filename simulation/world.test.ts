import fc from "fast-check";
import { expect, test } from "vitest";
import { simulatedClock } from "./clock.ts";
import { EventHeap } from "./event-heap.ts";
import { runUntilSettled, World } from "./world.ts";

test("the heap gives events by time, and in the order of scheduling within one time", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 })), (times) => {
      const heap = new EventHeap();
      times.forEach((timeUs, sequence) => heap.push({ timeUs, sequence, label: "", run: undefined }));
      const popped = times.map(() => heap.pop()).map((event) => [event?.timeUs ?? -1, event?.sequence ?? -1] as const);
      expect(popped).toEqual(times.map((time, i) => [time, i] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1]));
      expect(heap.pop()).toBeUndefined();
    }),
  );
});

test("time passes only between events, and a run ends when it is up", async () => {
  const world = new World(1);
  const seen: number[] = [];
  world.after(5, "a", () => seen.push(world.nowMs));
  world.after(5.0001, "rounded up", () => seen.push(world.nowMs));
  world.after(100, "late", () => seen.push(world.nowMs));
  expect(await world.run({ maxMs: 50 })).toBe("time");
  expect(seen).toEqual([5, 5.001]);
  expect(world.nowMs).toBe(50);
  expect(await world.run({})).toBe("idle");
  expect(seen).toEqual([5, 5.001, 100]);
});

test("all promises settle between two events", async () => {
  const world = new World(1);
  const order: string[] = [];
  world.after(1, "first", () => {
    void (async () => {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      order.push("settled");
    })();
  });
  world.after(1, "second", () => order.push("second"));
  await world.run({});
  expect(order).toEqual(["settled", "second"]);
});

test("a cancelled event does not happen; an error in an event ends the run", async () => {
  const world = new World(1);
  world.after(1, "never", () => expect.unreachable()).cancel();
  world.after(2, "fails", () => {
    throw new Error("invariant");
  });
  await expect(world.run({})).rejects.toThrow("invariant");
});

test("nothing that an ended life awaits resolves, also not by its clock", async () => {
  const world = new World(1);
  const old = world.begin("m1");
  const resolved: string[] = [];
  const watch = (name: string, promise: Promise<unknown>) =>
    void promise.then(
      () => resolved.push(name),
      () => resolved.push(name),
    );
  watch(
    "later",
    old.later(10, "x", () => undefined),
  );
  const clock = simulatedClock(old);
  watch("sleep", clock.sleep(10));
  world.after(5, "crash", () => {
    old.end();
    const young = world.begin("m1");
    expect(young.label).toBe("m1#2");
    watch(
      "young",
      young.later(10, "x", () => undefined),
    );
    watch("asked after death", clock.sleep(1));
    watch(
      "asked after death",
      old.later(1, "x", () => undefined),
    );
  });
  await world.run({});
  expect(resolved).toEqual(["young"]);
});

test("a sleep ends early with the reason of its signal", async () => {
  const world = new World(1);
  const clock = simulatedClock(world.begin("m1"));
  const reason = new Error("enough");
  await expect(clock.sleep(10, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleeping = clock.sleep(1000, controller.signal);
  world.after(5, "abort", () => controller.abort(reason));
  await expect(runUntilSettled(world, sleeping)).rejects.toBe(reason);
  expect(world.nowMs).toBe(5);
});

test("clocks drift and have origins of their own; the wall clock can be off", async () => {
  const world = new World(1);
  const fast = simulatedClock(world.begin("m1"), { driftPpm: 100_000, wallOffsetMs: -5000 });
  const true_ = simulatedClock(world.begin("m2"));
  const [a, b, wall] = [fast.now(), true_.now(), fast.wallMs()];
  expect(a).not.toBe(b);
  await world.run({ maxMs: 1000 });
  expect(fast.now() - a).toBeCloseTo(1100, 6);
  expect(true_.now() - b).toBeCloseTo(1000, 6);
  expect(fast.wallMs() - wall).toBe(1100);
  expect(true_.wallMs() - fast.wallMs()).toBe(4900);
});

test("who waits for nothing is told so, with the seed", async () => {
  const world = new World("lonely");
  await expect(runUntilSettled(world, new Promise(() => undefined))).rejects.toThrow(
    /nothing is left to happen, but someone still waits \(seed lonely\)/,
  );
});

test("the trace hash tells every difference in what happened, and its lines are kept on request", async () => {
  const hashOf = async (label: string, delayMs: number) => {
    const world = new World(1, { keepTrace: true });
    world.after(delayMs, label, () => undefined);
    await world.run({});
    return { hash: world.traceHash, lines: world.lines };
  };
  const one = await hashOf("a", 1);
  expect(one.lines).toEqual(["1000 a"]);
  expect(await hashOf("a", 1)).toEqual(one);
  expect((await hashOf("b", 1)).hash).not.toBe(one.hash);
  expect((await hashOf("a", 2)).hash).not.toBe(one.hash);
  // The same on every machine: this value may change only with the trace's form.
  expect(one.hash).toBe("a207d1ebd45fa709");
});
