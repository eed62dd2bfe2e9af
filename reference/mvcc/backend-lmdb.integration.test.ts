import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lmdbBackend } from "./backend-lmdb.ts";

const WRITER = fileURLToPath(new URL("./testdata/lmdb-writer.ts", import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seatrial-lmdb-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("kill -9 in the middle of commits leaves one commit's state, at or after the last flushed", async () => {
  for (const lines of [20, 200, 1500]) {
    const child = spawn(process.execPath, [WRITER, directory], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split("\n").length > lines) child.kill("SIGKILL");
    });
    await once(child, "close");
    const flushed = Number(/.*flushed (\d+)/s.exec(output)?.[1] ?? -1);
    const backend = await lmdbBackend(directory).open();
    const last = Number(Buffer.from(backend.get("meta", Buffer.from("n")) ?? Buffer.from("-1")).toString());
    expect(last).toBeGreaterThanOrEqual(flushed);
    // The child starts at 0 again each time and only overwrites, so exactly the keys of the longest run are there.
    for (let n = 0; n <= last; n++) expect(backend.get("key", Buffer.from(`k${n}`))).toBeDefined();
    await backend.close();
    await rm(directory, { recursive: true });
  }
  directory = await mkdtemp(join(tmpdir(), "seatrial-lmdb-"));
});

test("a disk that takes no more fails the flush, and every flush after it", async () => {
  // 512-byte blocks; the signal is ignored so that the write itself fails, as on a full disk.
  const script = `trap '' XFSZ; ulimit -f 200; exec "${process.execPath}" "${WRITER}" "${directory}" 2000`;
  const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  await once(child, "close");
  const lines = output.trim().split("\n");
  const firstFailure = lines.indexOf("failed");
  expect(firstFailure).toBeGreaterThan(0);
  expect(lines.slice(firstFailure).filter((line) => line.startsWith("flushed"))).toEqual([]);
  expect(lines.filter((line) => line === "failed").length).toBeGreaterThan(1);
});
