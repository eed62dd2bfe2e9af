import { expect, test } from "vitest";
import type { Backend, BackendWrite } from "../reference/mvcc/backend.ts";
import { SimulatedBackend } from "./backend.ts";
import { runUntilSettled, World } from "./world.ts";

const put = (key: string, value: string): BackendWrite => ({
  op: "put",
  bucket: "meta",
  key: Buffer.from(key),
  value: Buffer.from(value),
});
const read = (backend: Backend, key: string) => Buffer.from(backend.get("meta", Buffer.from(key)) ?? []).toString();
const seeds = Array.from({ length: 40 }, (_, i) => i);

async function opened(seed: number) {
  const world = new World(seed);
  const simulated = new SimulatedBackend(world, "m1");
  const life = world.begin("m1");
  const backend = await runUntilSettled(world, simulated.connect(life).open());
  const again = async (): Promise<Backend> => {
    life.end();
    await simulated.losePower();
    return runUntilSettled(world, simulated.connect(world.begin("m1")).open());
  };
  return { world, simulated, life, backend, again };
}

test("a crash leaves any commit from the last flushed one on, and which is the seed's choice", async () => {
  const left = new Set<string>();
  for (const seed of seeds) {
    const { world, backend, again } = await opened(seed);
    await runUntilSettled(world, backend.commit([put("n", "0")]).flushed);
    for (let n = 1; n <= 4; n++) backend.commit([put("n", String(n)), put("m", String(n))]);
    const young = await again();
    const n = read(young, "n");
    expect(read(young, "m"), "a commit is whole").toBe(n === "0" ? "" : n);
    left.add(n);
  }
  expect([...left].sort()).toEqual(["0", "1", "2", "3", "4"]);
});

test("a flush under way at the crash never resolves, in no life", async () => {
  const { world, backend, again } = await opened(1);
  let resolved = false;
  void backend.commit([put("n", "1")]).flushed.finally(() => (resolved = true));
  await world.run({ maxMs: 0.05 });
  const young = await again();
  await runUntilSettled(world, young.commit([put("n", "2")]).flushed);
  await world.run({});
  expect(resolved).toBe(false);
  // The old life's handle is dead too.
  backend.commit([put("n", "ghost")]);
  await world.run({});
  expect(read(young, "n")).toBe("2");
});

test("without a power loss no commit is lost", async () => {
  const { world, simulated, life, backend } = await opened(1);
  backend.commit([put("n", "1")]);
  life.end();
  const young = await runUntilSettled(world, simulated.connect(world.begin("m1")).open());
  expect(read(young, "n")).toBe("1");
});

test("a crash during a restore leaves the old content or the new", async () => {
  const left = new Set<string>();
  for (const seed of seeds) {
    const { world, simulated, life, backend, again } = await opened(seed);
    backend.commit([put("n", "new")]);
    const chunks: Uint8Array[] = [];
    for await (const chunk of backend.snapshot()) chunks.push(chunk);
    backend.commit([put("n", "old"), put("extra", "old")]);
    await runUntilSettled(world, backend.close());
    void simulated.connect(life).restore(
      (async function* () {
        yield* chunks;
      })(),
    );
    await world.run({ maxMs: 0.1 });
    const young = await again();
    left.add(`${read(young, "n")} ${read(young, "extra")}`);
  }
  expect([...left].sort()).toEqual(["new ", "old old"]);
});

test("the same seed gives the same trace hash, another seed another", async () => {
  const trial = async (seed: number): Promise<string> => {
    const { world, backend, again } = await opened(seed);
    await runUntilSettled(world, backend.commit([put("n", "0")]).flushed);
    for (let n = 1; n <= 9; n++) backend.commit([put("n", String(n))]);
    await again();
    return world.traceHash;
  };
  expect(await trial(1)).toBe(await trial(1));
  expect(await trial(1)).not.toBe(await trial(2));
});
