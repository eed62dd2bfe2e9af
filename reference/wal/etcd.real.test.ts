import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";
import { nodeDisk } from "../../seams/node/disk.ts";
import type { Entry, Index, NodeId, Term } from "../raft/types.ts";
import { createWal, openWal } from "./wal.ts";

const run = promisify(execFile);
const me = { nodeId: 0xfedcba9876543210n, clusterId: 7n };
let root: string;
let reader: string | undefined;
let why = "";

/** etcd's own log package, built from `tools/wal-reader` (or found at SEATRIAL_WAL_READER). */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "seatrial-wal-real-"));
  reader = process.env["SEATRIAL_WAL_READER"];
  if (reader !== undefined) return;
  try {
    await run("go", ["version"]);
  } catch {
    why = "needs Go (or SEATRIAL_WAL_READER) to build tools/wal-reader";
    return;
  }
  reader = join(root, "wal-reader");
  await run("go", ["build", "-o", reader, "."], { cwd: join(import.meta.dirname, "../../tools/wal-reader") });
}, 170_000);
afterAll(() => rm(root, { recursive: true, force: true }));

async function etcd(context: TestContext, ...args: string[]): Promise<unknown> {
  if (reader === undefined) return context.skip(why);
  const { stdout } = await run(reader, args);
  return stdout === "" ? undefined : JSON.parse(stdout);
}

const entry = (index: number): Entry => ({
  term: 2 as Term,
  index: index as Index,
  type: index % 7 === 0 ? "confChange" : "normal",
  data: new Uint8Array(index % 50).fill(index),
});
const printed = (index: number) => ({
  term: 2,
  index,
  type: index % 7 === 0 ? "EntryConfChange" : "EntryNormal",
  data: "" + Buffer.from(entry(index).data).toString("hex"),
});
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("etcd reads our log, over segments and from a snapshot, while it is being written", async (context) => {
  const dir = join(root, "ours");
  const wal = await createWal(nodeDisk, dir, me, { segmentBytes: 4096, allocateStepBytes: 4096 });
  for (const index of range(1, 200)) {
    await wal.save({ term: 2 as Term, vote: me.nodeId as NodeId, commit: (index - 1) as Index }, [entry(index)], {
      sync: true,
    });
    if (index === 150)
      await wal.saveSnapshot({
        index: 150 as Index,
        term: 2 as Term,
        confState: { voters: [1n as NodeId], learners: [] },
      });
  }
  const identity = {
    nodeId: "18364758544493064720",
    clusterId: "7",
    term: 2,
    vote: "18364758544493064720",
    commit: 199,
  };
  expect(await etcd(context, "read", dir, "0", "0")).toEqual({ ...identity, entries: range(1, 200).map(printed) });
  await wal.release(150);
  expect(await etcd(context, "read", dir, "150", "2")).toEqual({ ...identity, entries: range(151, 200).map(printed) });
  await wal.close();
});

test("etcd appends to our log, and we read on", async (context) => {
  const dir = join(root, "both");
  const wal = await createWal(nodeDisk, dir, me);
  await wal.save({ term: 2 as Term, vote: me.nodeId as NodeId, commit: 0 as Index }, range(1, 20).map(entry), {
    sync: true,
  });
  await wal.close();
  await etcd(context, "append", dir, "0", "0");
  const { wal: again, contents } = await openWal(nodeDisk, dir, me);
  await again.close();
  expect(contents.entries.length).toBe(23);
  expect(Buffer.from(contents.entries[22]?.data ?? []).toString()).toBe("from etcd");
  expect(contents.hardState.commit).toBe(23);
});

test("we read etcd's log", async (context) => {
  const dir = join(root, "theirs");
  await etcd(context, "create", dir);
  const { wal, contents } = await openWal(nodeDisk, dir, me, { fromSnapshot: 0 });
  expect(contents.entries.map(({ index, data }) => [index, data.length])).toEqual(range(1, 40).map((i) => [i, 10 * i]));
  expect(contents.snapshots.map(({ index }) => index)).toEqual([0, 20]);
  expect(contents.metadata).toEqual(me);
  await wal.save(contents.hardState, [{ ...entry(41), term: 3 as Term }], { sync: true });
  await wal.close();
  expect(await etcd(context, "read", dir, "20", "3")).toMatchObject({ commit: 40, entries: { length: 21 } });
});
