import { spawn, type ChildProcess } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { Disk } from "../seams/disk.ts";
import { nodeDisk } from "../seams/node/disk.ts";
import { healJournal, JOURNAL_FILE, openJournal } from "./journal.ts";
import { identify, signalTo, stateOf } from "./process/process-state.ts";

const directory = (): string => {
  const dir = mkdtempSync(join(tmpdir(), "seatrial-journal-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
};

function sleeper(): ChildProcess & { readonly pid: number } {
  const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60_000)"], { stdio: "ignore" });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child as ChildProcess & { readonly pid: number };
}

const lines = (dir: string) => readFileSync(join(dir, JOURNAL_FILE), "utf8").trimEnd().split("\n");

test("a process that a killed harness left stopped goes on, once; what was done is left alone", async () => {
  const dir = directory();
  const member = { node: "n1", ...identify(sleeper().pid, "n1") };
  const journal = openJournal(dir);
  await journal.done(await journal.record({ fault: "pause", undo: { ...member, pid: 1 } }));
  await journal.record({ fault: "pause", undo: member });
  signalTo(member, "SIGSTOP");
  await expect.poll(() => stateOf(member)).toBe("T");
  expect(await healJournal(dir)).toEqual([{ id: 2, fault: "pause" }]);
  await expect.poll(() => stateOf(member)).not.toBe("T");
  expect(await healJournal(dir)).toEqual([]);
});

test("a later process with the same pid is not touched", async () => {
  const dir = directory();
  const member = identify(sleeper().pid, "n1");
  await openJournal(dir).record({ fault: "pause", undo: { node: "n1", pid: member.pid, started: "1" } });
  signalTo(member, "SIGSTOP");
  await expect.poll(() => stateOf(member)).toBe("T");
  expect(await healJournal(dir)).toHaveLength(1);
  expect(stateOf(member)).toBe("T");
});

test("record resolves after the line is synced, and two at once do not overwrite each other", async () => {
  const dir = directory();
  const done: string[] = [];
  const watched: Disk = {
    ...nodeDisk,
    async open(path, options) {
      const file = await nodeDisk.open(path, options);
      return {
        readAt: (into, at) => file.readAt(into, at),
        truncate: (size) => file.truncate(size),
        allocate: (size) => file.allocate(size),
        size: () => file.size(),
        close: () => file.close(),
        writeAt: (data, at) => file.writeAt(data, at),
        async datasync() {
          await file.datasync();
          done.push("synced");
        },
      };
    },
  };
  const journal = openJournal(dir, watched);
  const records = [1, 2, 3].map((pid) =>
    journal.record({ fault: "kill", undo: { pid } }).then((id) => done.push(`recorded ${id}`)),
  );
  await Promise.all(records);
  expect(done.filter((one) => one === "synced").length).toBe(3);
  expect(done.indexOf("synced")).toBeLessThan(done.indexOf("recorded 1"));
  expect(lines(dir).map((line) => (JSON.parse(line) as { id: number }).id)).toEqual([1, 2, 3]);
});

test("a full disk keeps the fault from being injected: record rejects", async () => {
  const full: Disk = {
    ...nodeDisk,
    open: () => Promise.reject(Object.assign(new Error("no space left"), { code: "ENOSPC" })),
  };
  await expect(openJournal(directory(), full).record({ fault: "kill", undo: {} })).rejects.toMatchObject({
    code: "ENOSPC",
  });
});

test("a torn last line is cut off; what could not be healed stays and is told", async () => {
  const dir = directory();
  await openJournal(dir).record({ fault: "gremlin", undo: {} });
  appendFileSync(join(dir, JOURNAL_FILE), '{"id":2,"fault":"pau');
  const report = [{ id: 1, fault: "gremlin", error: 'this version knows no fault "gremlin"' }];
  expect(await healJournal(dir)).toEqual(report);
  expect(lines(dir)).toHaveLength(1);
  expect(await healJournal(dir)).toEqual(report);
});

test("a run without a journal has nothing to heal; a damaged one is named with its line", async () => {
  const dir = directory();
  expect(await healJournal(dir)).toEqual([]);
  writeFileSync(join(dir, JOURNAL_FILE), '{"id":1,"done":true}\nnonsense\n');
  await expect(healJournal(dir)).rejects.toThrow(/journal\.jsonl:2 is no line of a fault journal/);
});
