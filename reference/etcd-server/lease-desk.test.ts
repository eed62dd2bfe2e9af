import { expect, test } from "vitest";
import type { Clock, Instant } from "../../seams/clock.ts";
import type { LeaseId } from "../mvcc/types.ts";
import type { ApplyResult } from "../apply/types.ts";
import { type LeaseHost, Leases } from "./lease-desk.ts";

const LEASE = 7n as LeaseId;

/** A leader with one lease of two seconds, on a clock that the test moves; what it proposes waits as it would in the queue. */
function desk() {
  let now = 0;
  const queue: (() => boolean)[] = [];
  const host = {
    id: 1n,
    leader: 1n,
    stopped: false,
    isLeader: true,
    leadsNow: true,
    machine: { leases: new Map([[LEASE, { ttlSeconds: 2, keys: new Set<string>() }]]) },
    seams: { clock: { now: () => now as Instant } as Clock, network: undefined },
    propose: (_request: unknown, wanted: () => boolean = () => true) => (
      queue.push(wanted),
      new Promise<ApplyResult>(() => {})
    ),
    linearizable: async () => {},
  };
  const leases = new Leases(host as unknown as LeaseHost, 0);
  leases.promote();
  return { host, leases, queue, move: (ms: number) => (now += ms) };
}

test("a lease whose time is up is revoked by the leader whose clock says so", () => {
  const { leases, queue, move } = desk();
  leases.tick();
  expect(queue).toHaveLength(0);
  move(2_001);
  leases.tick();
  expect(queue.map((wanted) => wanted())).toEqual([true]);
});

test("a revocation that waited in the queue is not handed to the next leader, nor to this one's next reign", () => {
  const { host, leases, queue, move } = desk();
  move(2_001);
  leases.tick();
  // The core has heard of another leader; the member has not acted on it yet.
  host.leadsNow = false;
  expect(queue.map((wanted) => wanted())).toEqual([false]);
  host.isLeader = false;
  leases.demote();
  expect(queue.map((wanted) => wanted())).toEqual([false]);
  host.isLeader = host.leadsNow = true;
  leases.promote();
  expect(queue.map((wanted) => wanted())).toEqual([false]);
});
