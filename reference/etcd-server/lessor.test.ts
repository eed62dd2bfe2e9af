import { expect, test } from "vitest";
import type { Instant } from "../../seams/clock.ts";
import { Lessor } from "./lessor.ts";

function setUp() {
  let nowMs = 1000;
  const leases = new Map<bigint, { ttlSeconds: number }>();
  const revoked: bigint[] = [];
  const lessor = new Lessor({
    clock: { now: () => nowMs as Instant },
    leases: () => leases,
    revoke: (id) => void revoked.push(id),
  });
  const grant = (id: bigint, ttlSeconds: number) => {
    leases.set(id, { ttlSeconds });
    lessor.granted(id, ttlSeconds);
  };
  const wait = (ms: number) => {
    nowMs += ms;
    lessor.tick();
  };
  return { leases, revoked, lessor, grant, wait };
}

test("a lease is asked to end when its time is up, not before, and once", () => {
  const { lessor, grant, wait, revoked } = setUp();
  lessor.promote(0);
  grant(1n, 5);
  grant(2n, 3);
  wait(2999);
  expect(revoked).toEqual([]);
  wait(1);
  expect(revoked).toEqual([2n]);
  wait(1999);
  wait(1);
  expect(revoked).toEqual([2n, 1n]);
});

test("a renewal gives the whole time again; an expired lease stays expired", () => {
  const { lessor, grant, wait, revoked, leases } = setUp();
  lessor.promote(0);
  grant(1n, 5);
  for (let i = 0; i < 5; i++) {
    wait(4000);
    expect(lessor.renew(1n)).toBe(5);
  }
  expect(revoked).toEqual([]);
  expect(lessor.remainingMs(1n)).toBe(5000);
  wait(5000);
  expect(revoked).toEqual([1n]);
  expect(lessor.renew(1n)).toBeUndefined();
  expect(lessor.remainingMs(1n)).toBeUndefined();
  leases.delete(1n);
  lessor.revoked(1n);
  expect(lessor.renew(1n)).toBeUndefined();
});

test("a lost revocation is asked for again", () => {
  const { lessor, grant, wait, revoked } = setUp();
  lessor.promote(0);
  grant(1n, 2);
  wait(2000);
  wait(2999);
  expect(revoked).toEqual([1n]);
  wait(1);
  expect(revoked).toEqual([1n, 1n]);
});

test("only a leader keeps time; a new one gives every lease its full time, and what the election took", () => {
  const { lessor, grant, wait, revoked, leases } = setUp();
  leases.set(1n, { ttlSeconds: 2 });
  grant(2n, 2);
  wait(60_000);
  expect(revoked).toEqual([]);
  expect(lessor.renew(1n)).toBeUndefined();
  lessor.promote(1000);
  wait(2999);
  expect(revoked).toEqual([]);
  wait(1);
  expect(new Set(revoked)).toEqual(new Set([1n, 2n]));
  lessor.demote();
  wait(60_000);
  expect(revoked).toHaveLength(2);
});

test("a mass expiry comes in passes, earliest first", () => {
  const { lessor, grant, wait, revoked } = setUp();
  lessor.promote(0);
  for (let i = 0; i < 1200; i++) grant(BigInt(i + 1), 2 + (i % 3));
  wait(10_000);
  expect(revoked).toHaveLength(500);
  expect(revoked.slice(0, 400).every((id) => (id - 1n) % 3n === 0n)).toBe(true);
  wait(0);
  wait(0);
  expect(new Set(revoked).size).toBe(1200);
});
