import { expect, test } from "vitest";
import { memoryBackend } from "./backend-memory.ts";
import type { Backend } from "./backend.ts";
import { keyBytes } from "./key-text.ts";
import { spanOf } from "./range-end.ts";
import type { Revision, RevisionEvents } from "./types.ts";
import { deletion, WatchLog } from "./watch-log.ts";

const everything = spanOf({ key: keyBytes("\0"), rangeEnd: keyBytes("\0") });

function revision(main: number, ...keys: string[]): RevisionEvents {
  return { revision: main as Revision, events: keys.map((key) => deletion(keyBytes(key), main)) };
}

/** A backend that must not be asked. */
async function untouchable(): Promise<Backend> {
  const backend = await memoryBackend().open();
  backend.range = () => expect.fail("the tail answers without the backend");
  return backend;
}

test("what is recent comes from memory, whole revisions, at most about the limit", async () => {
  const log = new WatchLog();
  for (let main = 2; main <= 9; main++) log.append(revision(main, "a", "b"));
  const backend = await untouchable();
  const first = log.between(backend, everything, 3, 9, 3);
  expect(first.revisions.map((one) => [one.revision, one.events.length])).toEqual([
    [3, 2],
    [4, 2],
  ]);
  expect(first.next).toBe(5);
  expect(log.between(backend, everything, 9, 9, 100).next).toBe(10);
  const filtered = log.between(backend, spanOf({ key: keyBytes("a"), rangeEnd: keyBytes("") }), 2, 9, 100);
  expect(filtered.revisions.map((one) => one.events.length)).toEqual(Array.from({ length: 8 }, () => 1));
});

test("the tail is bounded by events and by bytes, and is trimmed only when told that all is committed", () => {
  const log = new WatchLog({ maxEvents: 10, maxBytes: 1_000_000 });
  for (let main = 2; main <= 3000; main++) log.append(revision(main, "a"));
  const tombstone = (main: number): unknown =>
    log.between({ range: () => [] } as unknown as Backend, everything, main, main, 1).revisions[0];
  expect(tombstone(2)).toBeDefined();
  log.trim();
  expect(tombstone(2990)).toBeUndefined();
  expect(tombstone(2991)).toBeDefined();
  log.append(revision(3001, "a"));
  expect(tombstone(3001)).toBeDefined();

  const heavy = new WatchLog({ maxEvents: 1000, maxBytes: 500 });
  for (let main = 2; main <= 20; main++) heavy.append(revision(main, "a"));
  heavy.trim();
  expect(heavy.between({ range: () => [] } as unknown as Backend, everything, 17, 20, 100).revisions.length).toBe(4);
  expect(heavy.between({ range: () => [] } as unknown as Backend, everything, 16, 20, 100).revisions.length).toBe(0);
});

test("revisions follow one another", () => {
  const log = new WatchLog();
  log.append(revision(2, "a"));
  expect(() => log.append(revision(4, "a"))).toThrow("revisions follow one another");
});
