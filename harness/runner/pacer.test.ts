import { expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import { closedLoop, openLoop } from "./pacer.ts";

const never = new AbortController().signal;

test("open loop: intended starts are evenly spaced and do not wait for slow workers", async () => {
  const pace = openLoop(systemClock, 1_000);
  const begun = systemClock.now();
  const first = await pace(seededRandom(1), never);
  await systemClock.sleep(30);
  // The worker was away; the operations that were due meanwhile are told at once, with the time they were due.
  const late = await pace(seededRandom(1), never);
  expect(late.intended - first.intended).toBeCloseTo(1, 6);
  expect(systemClock.now() - begun).toBeGreaterThanOrEqual(29);
  for (let i = 2; i < 60; i++) await pace(seededRandom(1), never);
  expect(systemClock.now() - begun).toBeGreaterThanOrEqual(58);
});

test("closed loop: the pause is drawn, and intended is when it is over", async () => {
  const pace = closedLoop(systemClock, 5);
  const before = systemClock.now();
  const { intended } = await pace(seededRandom(3), never);
  expect(intended).toBeGreaterThanOrEqual(before);
  expect(intended).toBeLessThanOrEqual(systemClock.now());
});

test("both return at once when the load is to stop", async () => {
  const stopped = AbortSignal.abort();
  const before = systemClock.now();
  await closedLoop(systemClock, 10_000)(seededRandom(1), stopped);
  const pace = openLoop(systemClock, 0.01);
  await pace(seededRandom(1), stopped);
  await pace(seededRandom(1), stopped);
  expect(systemClock.now() - before).toBeLessThan(1_000);
});
