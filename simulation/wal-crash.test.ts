import { expect, test } from "vitest";
import { createWal, openWal, walExists } from "../reference/wal/wal.ts";
import { SnapshotFiles } from "../reference/wal/snapshot-files.ts";
import type { Entry, Index, NodeId, Term } from "../reference/raft/types.ts";
import type { Wal, WalContents } from "../reference/wal/types.ts";
import type { Disk } from "../seams/disk.ts";
import { SimulatedDisk } from "./disk.ts";
import { runUntilSettled, World } from "./world.ts";

const me = { nodeId: 0xfedcba9876543210n, clusterId: 7n };
const dir = "/m1/member/wal";
const options = { segmentBytes: 8192, allocateStepBytes: 2048 };
const RUNS = 60 * Number(process.env["SEATRIAL_RUNS"] ?? 1);

const entry = (index: number, term: number, size: number): Entry => ({
  term: term as Term,
  index: index as Index,
  type: "normal",
  data: new Uint8Array(size).fill((index * 31 + term) % 255),
});

/** A log under load, with power losses at random times: what a save promised is there, and nothing else than what was saved. */
async function trial(seed: number, wrap: (disk: Disk) => Disk = (disk) => disk): Promise<string> {
  const world = new World(seed);
  const random = world.random.fork("trial");
  const simulated = new SimulatedDisk(world, "m1");
  /** Every entry ever handed to the log, by index and term: what may be read. */
  const offered = new Map<string, Entry>();
  let promised = 0;
  let promisedTerm = 0;
  let term = 0;
  let last = 0;

  for (let round = 0; round < 6; round++) {
    const life = world.begin("m1");
    const disk = wrap(simulated.connect(life));
    const boot = async (): Promise<{ wal: Wal; contents: WalContents | undefined }> => {
      if (await walExists(disk, dir)) return openWal(disk, dir, me, options);
      return { wal: await createWal(disk, dir, me, options), contents: undefined };
    };
    const { wal, contents } = await runUntilSettled(world, boot());
    const read = contents?.entries ?? [];
    for (const one of read) {
      const saved = offered.get(`${one.index}/${one.term}`);
      if (saved === undefined || Buffer.compare(saved.data, one.data) !== 0)
        expect(one, `seed ${seed}: only what was saved`).toEqual(saved);
    }
    const end = (contents?.start.index ?? 0) + read.length;
    expect(end, `seed ${seed}: what was promised is there`).toBeGreaterThanOrEqual(promised);
    expect(contents?.hardState.commit ?? 0).toBeLessThanOrEqual(end);
    expect(contents?.hardState.term ?? 0, `seed ${seed}: a promised term is there`).toBeGreaterThanOrEqual(
      promisedTerm,
    );

    promised = last = end;
    term++;
    const saves = term;
    const load = async (): Promise<void> => {
      for (;;) {
        const batch = Array.from({ length: 1 + random.below(4) }, (_, i) =>
          entry(last + 1 + i, term, random.below(1200)),
        );
        last += batch.length;
        for (const one of batch) offered.set(`${one.index}/${one.term}`, one);
        const upTo = last;
        const saved = wal
          .save({ term: term as Term, vote: me.nodeId as NodeId, commit: promised as Index }, batch, { sync: true })
          .then(() => {
            promised = Math.max(promised, upTo);
            promisedTerm = saves;
          });
        const snapshot = offered.get(`${promised}/${saves}`);
        if (snapshot !== undefined && random.below(20) === 0) {
          const at = {
            index: snapshot.index,
            term: snapshot.term,
            confState: { voters: [1n as NodeId], learners: [] },
          };
          void wal.saveSnapshot(at).then(() => wal.release(at.index - random.below(5)));
        }
        // Half of the time the next save overlaps this one.
        if (random.below(2) === 0) await saved;
        else await life.later(0.01, "load", () => undefined);
      }
    };
    void load();
    await world.run({ maxMs: random.below(60) });
    life.end();
    simulated.losePower();
  }
  return world.traceHash;
}

test("a log survives power losses at any time", async () => {
  for (let seed = 0; seed < RUNS; seed++) await trial(seed);
});

test("the same seed gives the same trace hash, another seed another", async () => {
  const one = await trial(7);
  expect(await trial(7)).toBe(one);
  expect(await trial(8)).not.toBe(one);
});

test("planted: a disk that does not sync is caught", async () => {
  const lying = (disk: Disk): Disk => ({
    ...disk,
    open: async (path, o) => {
      const file = await disk.open(path, o);
      return { ...file, datasync: async () => undefined };
    },
  });
  const caught = async (): Promise<void> => {
    for (let seed = 0; seed < 20; seed++) await trial(seed, lying);
  };
  await expect(caught()).rejects.toThrow(
    /what was promised is there|a promised term is there|does not exist|is damaged at|is not whole/,
  );
});

test("planted: a disk whose names are never synced is caught", async () => {
  const caught = async (): Promise<void> => {
    for (let seed = 0; seed < 20; seed++) await trial(seed, (disk) => ({ ...disk, syncDir: async () => undefined }));
  };
  await expect(caught()).rejects.toThrow(
    /what was promised is there|a promised term is there|does not exist|is damaged at|is not whole/,
  );
});

test("a snapshot file is there whole, or not at all", async () => {
  let whole = 0;
  let none = 0;
  for (let seed = 0; seed < RUNS; seed++) {
    const world = new World(seed);
    const random = world.random.fork("trial");
    const simulated = new SimulatedDisk(world, "m1");
    const old = world.begin("m1");
    const disk = simulated.connect(old);
    await runUntilSettled(world, disk.mkdir("/m1/member"));
    const metadata = { index: 5 as Index, term: 1 as Term, confState: { voters: [1n as NodeId], learners: [] } };
    let promised = false;
    void new SnapshotFiles(disk, "/m1/member/snap")
      .receive(
        metadata,
        (async function* () {
          for (let i = 0; i < 5; i++) yield new Uint8Array(1000).fill(i);
        })(),
      )
      .then(() => {
        promised = true;
      });
    await world.run({ maxMs: random.below(3000) / 1000 });
    old.end();
    simulated.losePower();
    const files = new SnapshotFiles(simulated.connect(world.begin("m1")), "/m1/member/snap");
    const newest = await runUntilSettled(world, files.newest());
    if (promised) expect(newest, `seed ${seed}`).toEqual(metadata);
    if (newest === undefined) none++;
    else {
      whole++;
      const read = async (): Promise<number> => {
        let bytes = 0;
        for await (const chunk of files.read(newest)) bytes += chunk.length;
        return bytes;
      };
      expect(await runUntilSettled(world, read())).toBe(5000);
    }
  }
  expect(whole).toBeGreaterThan(5);
  expect(none).toBeGreaterThan(5);
});
