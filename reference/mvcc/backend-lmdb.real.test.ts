import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const WRITER = fileURLToPath(new URL("./testdata/lmdb-writer.ts", import.meta.url));
const CALLS = "openat,write,pwrite64,pwritev,writev,fdatasync,fsync";

/**
 * The system calls behind each `flushed`, watched by strace: pages written, synced, then the page that makes them valid written
 * through a descriptor opened with O_DSYNC, and only then the word that it is flushed.
 */
test("flushed is told only after the pages and then the meta page are on the disk", ({ skip }) => {
  if (spawnSync("strace", ["-V"]).status !== 0) return skip("strace is not installed (apt-get install strace)");
  const directory = mkdtempSync(join(tmpdir(), "seatrial-lmdb-"));
  try {
    const trace = join(directory, "trace");
    const run = spawnSync("strace", [
      "-f",
      "-o",
      trace,
      "-e",
      `trace=${CALLS}`,
      process.execPath,
      WRITER,
      join(directory, "db"),
      "24",
    ]);
    if (/Operation not permitted|PTRACE/.test(run.stderr.toString())) return skip("strace may not trace here");
    const lines = readFileSync(trace, "utf8").split("\n");
    const data = descriptor(lines, /db\.mdb", O_RDWR/);
    const meta = descriptor(lines, /db\.mdb", O_WRONLY\|O_DSYNC/);
    let synced = false;
    let durable = false;
    let told = 0;
    const writesPages = new RegExp(`(pwrite64|pwritev|writev)\\(${data},`);
    const syncs = new RegExp(`fdatasync\\(${data}\\)|fdatasync resumed`);
    const writesMeta = new RegExp(`pwrite64\\(${meta},`);
    for (const line of lines) {
      if (writesPages.test(line)) {
        synced = false;
        durable = false;
      } else if (syncs.test(line)) synced = true;
      else if (writesMeta.test(line)) durable = synced;
      else if (/write\(1, "flushed/.test(line)) {
        expect(durable, `before: ${line}`).toBe(true);
        told++;
      }
    }
    expect(told).toBe(24);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

function descriptor(lines: readonly string[], opened: RegExp): string {
  const line = lines.findLast((candidate) => opened.test(candidate));
  return /= (\d+)$/.exec(line ?? "")?.[1] ?? expect.fail(`no call matches ${opened}`);
}
