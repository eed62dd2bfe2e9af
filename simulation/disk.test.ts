import { expect, test } from "vitest";
import type { Disk, File } from "../seams/disk.ts";
import { SimulatedDisk } from "./disk.ts";
import { SECTOR_BYTES } from "./inode.ts";
import { runUntilSettled, World, type Life } from "./world.ts";

interface Member {
  world: World;
  simulated: SimulatedDisk;
  life: Life;
  disk: Disk;
}

function member(seed: number): Member {
  const world = new World(seed, { keepTrace: true });
  const simulated = new SimulatedDisk(world, "m1");
  const life = world.begin("m1");
  return { world, simulated, life, disk: simulated.connect(life) };
}

function again(m: Member): Member {
  m.life.end();
  m.simulated.losePower();
  const life = m.world.begin("m1");
  return { ...m, life, disk: m.simulated.connect(life) };
}

const wait = <T>(m: Member, work: Promise<T>) => runUntilSettled(m.world, work);
const seeds = Array.from({ length: 60 }, (_, i) => i);

async function durableFile(m: Member, name: string, size: number): Promise<File> {
  await m.disk.mkdir("/d");
  const file = await m.disk.open(`/d/${name}`, { create: true });
  await file.allocate(size);
  await file.datasync();
  await m.disk.syncDir("/d");
  return file;
}

test("an unsynced write is lost, kept, or torn at sectors, by the seed", async () => {
  const outcomes = new Set<string>();
  for (const seed of seeds) {
    let m = member(seed);
    const file = await wait(m, durableFile(m, "f", 4096));
    await wait(m, file.writeAt(new Uint8Array(1024).fill(1), 256));
    m = again(m);
    const read = Buffer.alloc(4096);
    await wait(
      m,
      m.disk.open("/d/f").then((f) => f.readAt(read, 0)),
    );
    const sectors = [read.subarray(256, 512), read.subarray(512, 1024), read.subarray(1024, 1280)];
    for (const sector of sectors) expect(new Set(sector).size, "a sector is whole").toBe(1);
    outcomes.add(sectors.map((sector) => sector[0]).join(""));
    expect(read.subarray(0, 256).every((byte) => byte === 0)).toBe(true);
  }
  expect(outcomes.has("000") && outcomes.has("111")).toBe(true);
  expect(outcomes.size).toBeGreaterThan(3);
});

test("a datasync under way when the power goes promises nothing; one that resolved promises all written before it began", async () => {
  let lost = 0;
  for (const seed of seeds) {
    let m = member(seed);
    const file = await wait(m, durableFile(m, "f", 4096));
    await wait(m, file.writeAt(Buffer.from("first"), 0));
    await wait(m, file.datasync());
    await wait(m, file.writeAt(Buffer.from("second"), SECTOR_BYTES));
    let resolved = false;
    void file.datasync().then(() => {
      resolved = true;
    });
    await m.world.run({ maxMs: 0.01 });
    m = again(m);
    const read = Buffer.alloc(1024);
    await wait(
      m,
      m.disk.open("/d/f").then((f) => f.readAt(read, 0)),
    );
    expect(read.toString("latin1", 0, 5)).toBe("first");
    if (read[SECTOR_BYTES] === 0) lost++;
    expect(resolved).toBe(false);
  }
  expect(lost).toBeGreaterThan(5);
  expect(lost).toBeLessThan(55);
});

test("what is written while a datasync runs is not covered by it", async () => {
  let lost = 0;
  for (const seed of seeds) {
    let m = member(seed);
    const file = await wait(m, durableFile(m, "f", 4096));
    const syncing = file.datasync();
    const writing = file.writeAt(Buffer.from("late"), 0);
    await wait(m, Promise.all([syncing, writing]));
    m = again(m);
    const read = Buffer.alloc(4);
    await wait(
      m,
      m.disk.open("/d/f").then((f) => f.readAt(read, 0)),
    );
    if (read[0] === 0) lost++;
  }
  expect(lost).toBeGreaterThan(5);
});

test("of names not synced, some first changes survive; a rename is one change", async () => {
  const outcomes = new Set<string>();
  for (const seed of seeds) {
    let m = member(seed);
    const file = await wait(m, durableFile(m, "kept", 512));
    await wait(m, file.close());
    await wait(m, m.disk.open("/d/a", { create: true }));
    await wait(m, m.disk.rename("/d/kept", "/d/renamed"));
    await wait(m, m.disk.remove("/d/a"));
    m = again(m);
    outcomes.add((await wait(m, m.disk.list("/d"))).join());
  }
  expect([...outcomes].sort()).toEqual(["a,kept", "a,renamed", "kept", "renamed"]);
});

test("a size that was not synced may be forgotten", async () => {
  const sizes = new Set<number>();
  for (const seed of seeds) {
    let m = member(seed);
    const file = await wait(m, durableFile(m, "f", 1000));
    await wait(m, file.allocate(3000));
    m = again(m);
    sizes.add(
      await wait(
        m,
        m.disk.open("/d/f").then((f) => f.size()),
      ),
    );
  }
  expect([...sizes].sort()).toEqual([1000, 3000]);
});

test("without a power loss nothing is forgotten, and the lock is free", async () => {
  const m = member(1);
  const file = await wait(m, durableFile(m, "f", 512));
  await wait(m, m.disk.lock("/d"));
  await wait(m, file.writeAt(Buffer.from("cached"), 0));
  m.life.end();
  const young = m.simulated.connect(m.world.begin("m1"));
  const read = Buffer.alloc(6);
  await wait(
    m,
    young.open("/d/f").then((f) => f.readAt(read, 0)),
  );
  expect(read.toString()).toBe("cached");
  await wait(m, young.lock("/d"));
});

test("an ended life's disk does nothing and answers nothing", async () => {
  let m = member(1);
  const file = await wait(m, durableFile(m, "f", 512));
  const old = m.disk;
  m = again(m);
  let answered = false;
  for (const one of [file.writeAt(Buffer.from("ghost"), 0), file.datasync(), old.remove("/d/f")])
    void one.finally(() => (answered = true));
  await m.world.run({});
  expect(answered).toBe(false);
  const read = Buffer.alloc(5);
  await wait(
    m,
    m.disk.open("/d/f").then((f) => f.readAt(read, 0)),
  );
  expect(read.toString("latin1")).toBe("\0\0\0\0\0");
});

test("a stalled disk answers late, a failing one with its code; both heal", async () => {
  const m = member(1);
  const file = await wait(m, durableFile(m, "f", 512));
  const stall = m.simulated.inject({ operations: ["datasync"], delayMs: 500 });
  const before = m.world.nowMs;
  await wait(m, file.datasync());
  expect(m.world.nowMs - before).toBeGreaterThan(500);
  stall[Symbol.dispose]();
  const full = m.simulated.inject({ operations: ["write", "allocate"], code: "ENOSPC" });
  await expect(wait(m, file.writeAt(Buffer.from("x"), 0))).rejects.toMatchObject({ code: "ENOSPC" });
  full[Symbol.dispose]();
  await wait(m, file.writeAt(Buffer.from("x"), 0));
});

test("a failed datasync loses its data for good: trying again does not help", async () => {
  let m = member(1);
  const file = await wait(m, durableFile(m, "f", 512));
  await wait(m, file.writeAt(Buffer.from("gone"), 0));
  const fault = m.simulated.inject({ operations: ["datasync"], code: "EIO" });
  await expect(wait(m, file.datasync())).rejects.toMatchObject({ code: "EIO" });
  fault[Symbol.dispose]();
  await wait(m, file.datasync());
  m = again(m);
  const read = Buffer.alloc(4);
  await wait(
    m,
    m.disk.open("/d/f").then((f) => f.readAt(read, 0)),
  );
  expect(read.toString("latin1")).toBe("\0\0\0\0");
});
