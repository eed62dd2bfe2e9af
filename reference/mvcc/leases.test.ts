import { expect, test } from "vitest";
import { memoryBackend } from "./backend-memory.ts";
import type { BackendWrite } from "./backend.ts";
import { Leases } from "./leases.ts";

test("leases survive a restart, whatever their ids, with TTL and checkpoint", async () => {
  const backend = await memoryBackend().open();
  const batch: BackendWrite[] = [];
  const leases = new Leases();
  leases.grant(1n, 60, batch);
  leases.grant(-(2n ** 63n), 9_000_000_000, batch);
  leases.grant(2n, 5, batch);
  leases.checkpoint(1n, 30, batch);
  leases.remove(2n, batch);
  expect(leases.checkpoint(2n, 3, batch)).toBe(false);
  backend.commit(batch);
  expect(Leases.load(backend).all).toEqual(
    new Map([
      [1n, { ttlSeconds: 60, remainingSeconds: 30, keys: new Set() }],
      [-(2n ** 63n), { ttlSeconds: 9_000_000_000, remainingSeconds: 0, keys: new Set() }],
    ]),
  );
});

test("a key hangs on one lease at most", () => {
  const leases = new Leases();
  leases.grant(1n, 60, []);
  leases.grant(2n, 60, []);
  leases.attach("k", 1n);
  leases.attach("k", 2n);
  expect(leases.leaseOf("k")).toBe(2n);
  expect(leases.all.get(1n)?.keys).toEqual(new Set());
  expect(leases.all.get(2n)?.keys).toEqual(new Set(["k"]));
  leases.attach("k", 0n);
  expect(leases.leaseOf("k")).toBe(0n);
  leases.attach("k", 1n);
  leases.remove(1n, []);
  expect(leases.leaseOf("k")).toBe(0n);
  leases.attach("k", 9n);
  expect(leases.leaseOf("k")).toBe(0n);
});

test("a lease is granted once", () => {
  const leases = new Leases();
  leases.grant(1n, 60, []);
  expect(() => leases.grant(1n, 60, [])).toThrow("a lease is granted once");
});
