import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { entryUrl } from "./entry.ts";
import { nodeDisk } from "./disk.ts";
import { entropySeed, systemRandom } from "./random.ts";

test("time goes on, and a sleep is never short", async () => {
  const before = systemClock.now();
  await systemClock.sleep(5);
  expect(systemClock.now() - before).toBeGreaterThanOrEqual(5);
});

test("an aborted sleep rejects with the reason, before and during", async () => {
  const reason = new Error("enough");
  await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
});

test("an entry has the suffix of who asks", () => {
  expect(entryUrl("file:///a/b.ts", "./worker").href).toBe("file:///a/worker.ts");
  expect(entryUrl("file:///a/dist/b.js", "../worker").href).toBe("file:///a/worker.js");
  expect(entryUrl("file:///a/b.ts?v=1", "./worker").href).toBe("file:///a/worker.ts");
});

test("a seed can be typed again, and differs", () => {
  expect(Number.isInteger(entropySeed())).toBe(true);
  expect(systemRandom().uint64()).not.toBe(systemRandom().uint64());
});

test.skipIf(process.platform !== "linux")("a folder where nothing can be made is refused, not waited for", async () => {
  await expect(nodeDisk.mkdir("/proc/seatrial/member")).rejects.toThrow(/ENOENT/);
});
