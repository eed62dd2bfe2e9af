import fc from "fast-check";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import { lmdbBackend } from "../mvcc/backend-lmdb.ts";
import { memoryBackend } from "../mvcc/backend-memory.ts";
import type { Backend, BackendWrite } from "../mvcc/backend.ts";
import { runs } from "../mvcc/testdata/runs.ts";
import { logOf, raftRequest } from "./arbitrary.ts";
import { openStateMachine } from "./state-machine.ts";
import type { ApplyEntry, StateMachine } from "./types.ts";

const log = fc.array(fc.option(raftRequest, { nil: undefined, freq: 20 }), { minLength: 1, maxLength: 25 });
/** Into which batches the log is cut; a member that replays cuts it otherwise. */
const cuts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 });

/** All that a member can tell of its state, in whatever order its maps are. */
function stateOf(machine: StateMachine): unknown {
  const { mvcc } = machine;
  return {
    applied: [machine.appliedIndex, machine.appliedTerm],
    revision: [mvcc.currentRevision, mvcc.compactRevision],
    hashKv: Array.from(
      { length: mvcc.currentRevision - Math.max(mvcc.compactRevision, 1) + 1 },
      (_, back) => mvcc.hashKv(mvcc.currentRevision - back).hash,
    ),
    leases: [...machine.leases]
      .map(([id, lease]) => [id, { ...lease, keys: [...lease.keys].toSorted() }])
      .toSorted(byId),
    alarms: machine.alarms,
    events: mvcc
      .eventsBetween(
        { key: Buffer.from("\0"), rangeEnd: Buffer.from("\0") },
        Math.max(mvcc.compactRevision, 1),
        mvcc.currentRevision,
        1000,
      )
      .revisions.map(({ revision, events }) => [
        revision,
        events.map(({ type, kv }) => [type, hex(kv.key), hex(kv.value), kv.createRevision, kv.version, kv.lease]),
      ]),
  };
}

function byId(a: unknown[], b: unknown[]): number {
  return Number((a[0] as bigint) - (b[0] as bigint));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function applyAll(machine: StateMachine, entries: readonly ApplyEntry[], batches: readonly number[]): void {
  let at = machine.appliedIndex as number;
  for (let i = 0; at < entries.length; i++) {
    const size = batches[i % batches.length] ?? 1;
    machine.apply(entries.slice(at, at + size));
    at = machine.appliedIndex;
  }
}

type Plant = (backend: Backend) => Backend;
const soundly: Plant = (backend) => backend;

/** The planted twin: the position in the log is written in a commit of its own, after the effects. */
const positionApart: Plant = (backend) =>
  wrapCommit(backend, (batch, commit) => {
    const isPosition = (write: BackendWrite): boolean =>
      write.bucket === "meta" && Buffer.from(write.key).toString() === "applied";
    commit(batch.filter((write) => !isPosition(write)));
    return commit(batch.filter(isPosition));
  });

/** Its brother: the position is ahead of the effects. */
const positionFirst: Plant = (backend) =>
  wrapCommit(backend, (batch, commit) => {
    const isPosition = (write: BackendWrite): boolean =>
      write.bucket === "meta" && Buffer.from(write.key).toString() === "applied";
    commit(batch.filter(isPosition));
    return commit(batch.filter((write) => !isPosition(write)));
  });

type Commit = Backend["commit"];

function wrapCommit(
  backend: Backend,
  wrapped: (batch: readonly BackendWrite[], commit: Commit) => ReturnType<Commit>,
): Backend {
  const commit: Commit = (batch) => backend.commit(batch);
  return new Proxy(backend, {
    get(target, name) {
      if (name === "commit") return (batch: readonly BackendWrite[]) => wrapped(batch, commit);
      const member = Reflect.get(target, name, target) as unknown;
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Applies a log, then, for each commit it made, starts again from that commit and replays the rest. */
async function crashAnywhere(
  requests: readonly (InternalRaftRequest | undefined)[],
  batches: readonly number[],
  replays: readonly number[],
  plant: Plant,
): Promise<void> {
  const entries = logOf(requests);
  const commits: (readonly BackendWrite[])[] = [];
  const recorded = wrapCommit(await memoryBackend().open(), (batch, commit) => {
    commits.push([...batch]);
    return commit(batch);
  });
  const whole = openStateMachine(plant(recorded));
  applyAll(whole, entries, batches);
  const expected = stateOf(whole);
  for (let survived = 0; survived <= commits.length; survived++) {
    const backend = await memoryBackend().open();
    for (const batch of commits.slice(0, survived)) backend.commit(batch);
    const again = openStateMachine(plant(backend));
    applyAll(again, entries, replays);
    expect(stateOf(again)).toEqual(expected);
  }
}

const property = (plant: Plant) =>
  fc.asyncProperty(log, cuts, cuts, (requests, batches, replays) => crashAnywhere(requests, batches, replays, plant));

describe("a crash at any commit boundary, and replay", () => {
  test("gives the same state and the same HashKV", async () => {
    await fc.assert(property(soundly), runs(100));
  });

  test.each([
    ["after", positionApart],
    ["before", positionFirst],
  ])("is caught if the position is committed %s the effects", async (_, plant) => {
    const outcome = await fc.check(property(plant), { numRuns: 100 });
    expect(outcome.failed).toBe(true);
  });

  test("gives the same on LMDB, from the file as it is in the middle of its commits", async () => {
    const directory = await mkdtemp(join(tmpdir(), "seatrial-crash-"));
    let n = 0;
    try {
      await fc.assert(
        fc.asyncProperty(log, cuts, cuts, fc.nat(25), async (requests, batches, replays, crashAfter) => {
          const [before, after] = [join(directory, `${++n}`), join(directory, `${++n}`)];
          const entries = logOf(requests);
          const running = await lmdbBackend(before).open();
          const machine = openStateMachine(running);
          let flushed = 0;
          applyAll(machine, entries.slice(0, crashAfter), batches);
          // Commits are under way now; what is on the disk is any of them.
          const early = machine.apply([]).flushed.then(() => (flushed = machine.appliedIndex));
          if (crashAfter % 2 === 0) await early;
          const promised = flushed;
          await (await lmdbBackend(after).open()).close();
          await copyFile(join(before, "db.mdb"), join(after, "db.mdb"));
          await rm(join(after, "db.mdb-lock"));
          const backend = await lmdbBackend(after).open();
          const again = openStateMachine(backend);
          expect(again.appliedIndex).toBeGreaterThanOrEqual(promised);
          applyAll(again, entries, replays);
          applyAll(machine, entries, batches);
          expect(stateOf(again)).toEqual(stateOf(machine));
          await Promise.all([running.close(), backend.close()]);
        }),
        runs(15),
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
