import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lmdbBackend } from "./backend-lmdb.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seatrial-lmdb-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** A clock that the test turns: each sleep ends when it is told to, or when it is aborted. */
function handTurned() {
  const sleeps: { readonly ms: number; readonly end: () => void; aborted: boolean }[] = [];
  return {
    sleeps,
    clock: {
      sleep: (ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          const one = { ms, end: resolve, aborted: false };
          sleeps.push(one);
          signal?.addEventListener("abort", () => {
            one.aborted = true;
            reject(signal.reason as Error);
          });
        }),
    },
  };
}

const write = (key: string, value: Uint8Array) => ({ op: "put", bucket: "key", key: Buffer.from(key), value }) as const;

test("commits gather, and one wait serves them all", async () => {
  const { clock, sleeps } = handTurned();
  const backend = await lmdbBackend(directory, { clock, forMs: 100 }).open();
  const told: string[] = [];
  const flushes = ["a", "b"].map((key) =>
    backend.commit([write(key, Buffer.from("1"))]).flushed.then(() => told.push(key)),
  );
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual([]);
  expect(sleeps.map(({ ms }) => ms)).toEqual([100]);
  sleeps[0]?.end();
  await Promise.all(flushes);
  expect(told).toEqual(["a", "b"]);
  expect(sleeps).toHaveLength(1);
  await backend.close();
});

test.each([
  ["bytes", Array.from({ length: 9 }, (_, i) => write(`k${i}`, Buffer.alloc(1024 * 1024)))],
  ["writes", Array.from({ length: 10_000 }, (_, i) => write(`k${i}`, Buffer.alloc(1)))],
])("enough %s end the wait", async (_, writes) => {
  const { clock, sleeps } = handTurned();
  const backend = await lmdbBackend(directory, { clock, forMs: 100 }).open();
  backend.commit([write("first", Buffer.from("1"))]);
  await backend.commit(writes).flushed;
  expect(sleeps.map(({ aborted }) => aborted)).toEqual([true]);
  await backend.close();
});

test("a close ends the wait, and loses nothing", async () => {
  const { clock } = handTurned();
  const backend = await lmdbBackend(directory, { clock, forMs: 100 }).open();
  const { flushed } = backend.commit([write("a", Buffer.from("1"))]);
  await backend.close();
  await flushed;
  const again = await lmdbBackend(directory).open();
  expect(again.get("key", Buffer.from("a"))).toBeDefined();
  await again.close();
});
