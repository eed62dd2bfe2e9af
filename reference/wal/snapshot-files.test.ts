import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeDisk } from "../../seams/node/disk.ts";
import type { Index, NodeId, SnapshotMetadata, Term } from "../raft/types.ts";
import { SnapshotFiles } from "./snapshot-files.ts";

let dir: string;
let files: SnapshotFiles;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), "seatrial-snap-")), "snap");
  files = new SnapshotFiles(nodeDisk, dir);
});
afterEach(() => rm(join(dir, ".."), { recursive: true, force: true }));

const at = (index: number, term: number): SnapshotMetadata => ({
  index: index as Index,
  term: term as Term,
  confState: { voters: [1n as NodeId, 0xfedcba9876543210n as NodeId], learners: [4n as NodeId] },
});

async function* stream(...parts: (string | Error)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield Buffer.from(part);
  }
}

async function read(metadata: SnapshotMetadata): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of files.read(metadata)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("what is received is read again, in chunks of another size", async () => {
  expect(await files.newest()).toBeUndefined();
  const long = "x".repeat(700_000);
  await files.receive(at(10, 2), stream("a", long, "b"));
  expect(await files.newest()).toEqual(at(10, 2));
  expect(await read(at(10, 2))).toBe(`a${long}b`);
  await files.receive(at(11, 2), stream());
  expect(await read(at(11, 2))).toBe("");
});

test("the newest is the one of the highest index", async () => {
  await files.receive(at(300, 2), stream("a"));
  await files.receive(at(20, 9), stream("b"));
  expect((await files.newest())?.index).toBe(300);
});

test("prune keeps the newest and clears what was left half made", async () => {
  for (const index of [1, 2, 3]) await files.receive(at(index, 1), stream("x"));
  await writeFile(join(dir, "0000000000000001-0000000000000009.snap.tmp"), "half");
  await files.prune(2);
  expect((await readdir(dir)).map((name) => name.slice(-7))).toEqual(["02.snap", "03.snap"]);
});

test("a stream that fails leaves nothing, and the failure is the caller's", async () => {
  const failure = new Error("the leader went away");
  await expect(files.receive(at(5, 1), stream("begun", failure))).rejects.toBe(failure);
  expect(await readdir(dir)).toEqual([]);
});

test("any flipped byte is refused", async () => {
  await files.receive(at(5, 1), stream("content"));
  const path = join(dir, (await readdir(dir))[0] ?? "");
  const intact = await readFile(path);
  for (let i = 0; i < intact.length; i++) {
    const bytes = Buffer.from(intact);
    bytes.writeUInt8(bytes.readUInt8(i) ^ 0x10, i);
    await writeFile(path, bytes);
    await expect(read(at(5, 1)), `byte ${i}`).rejects.toMatchObject({
      code: "WAL_DAMAGED",
      message: expect.stringContaining(path) as string,
    });
  }
  for (const length of [0, 10, 30, intact.length - 1]) {
    await writeFile(path, intact.subarray(0, length));
    await expect(read(at(5, 1))).rejects.toMatchObject({ code: "WAL_DAMAGED" });
  }
});
