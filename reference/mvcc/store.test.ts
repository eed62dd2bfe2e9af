import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memoryBackend } from "./backend-memory.ts";
import type { BackendWrite } from "./backend.ts";
import { keyBytes, keyText } from "./key-text.ts";
import { spanHas, spanOf, type Span } from "./range-end.ts";
import { MvccStore, type RangeOptions } from "./store.ts";
import { runs } from "./testdata/runs.ts";
import type { KeyRange, KeyValue } from "./types.ts";

/** What one change does. */
type Change = { readonly put: string; readonly value: string } | { readonly remove: readonly [string, string] };
type Step =
  | { readonly kind: "txn"; readonly changes: readonly Change[] }
  | { readonly kind: "compact"; readonly back: number }
  | { readonly kind: "sweep"; readonly limit: number }
  | { readonly kind: "reopen" };

const keys = ["a", "b", "bb", "c", "\xff"];
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: fc.constantFrom(...keys), value: fc.string({ maxLength: 3 }) }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...keys), fc.constantFrom("", "\0", "b", "c")).map((remove) => ({ remove })),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.array(change, { maxLength: 3 }).map((changes) => ({ kind: "txn" as const, changes })) },
  { weight: 1, arbitrary: fc.nat(5).map((back) => ({ kind: "compact" as const, back })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4 }).map((limit) => ({ kind: "sweep" as const, limit })) },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);

/** The naive store: the whole content at every revision, and the events that led there. */
class Model {
  /** Index is the revision; 0 is unused, 1 the empty store. */
  readonly contents: ReadonlyMap<string, KeyValue>[] = [new Map(), new Map()];
  readonly events: string[][] = [[], []];
  compacted = -1;

  get current(): number {
    return this.contents.length - 1;
  }

  txn(changes: readonly Change[]): void {
    const content = new Map(this.contents[this.current]);
    const events: string[] = [];
    const main = this.current + 1;
    for (const one of changes) {
      if ("put" in one) {
        const before = content.get(one.put);
        content.set(one.put, kv(one.put, one.value, before?.createRevision ?? main, main, (before?.version ?? 0) + 1));
        events.push(`put ${one.put} ${one.value}`);
      } else {
        const span = spanOf(range(one.remove[0], one.remove[1]));
        for (const key of [...content.keys()].toSorted().filter((candidate) => spanHas(span, candidate))) {
          content.delete(key);
          events.push(`delete ${key}`);
        }
      }
    }
    if (events.length === 0) return;
    this.contents.push(content);
    this.events.push(events);
  }

  range(span: Span, revision: number): KeyValue[] {
    const content = this.contents[revision] ?? new Map<string, KeyValue>();
    return [...content.keys()]
      .toSorted()
      .filter((key) => spanHas(span, key))
      .map((key) => content.get(key) as KeyValue);
  }
}

class System {
  readonly backend;
  store: MvccStore;
  constructor(backend: Awaited<ReturnType<ReturnType<typeof memoryBackend>["open"]>>) {
    this.backend = backend;
    this.store = new MvccStore(backend, TAIL);
  }
  commit(writes: readonly BackendWrite[]): void {
    this.backend.commit(writes);
    this.store.committed();
  }
}

/** So short that most reads and watches must go to the backend. */
const TAIL = { maxEvents: 4, maxBytes: 10_000 };

describe("the store against a map of histories", () => {
  test("every read at every revision, every event, through compactions and restarts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const system = new System(await memoryBackend().open());
        const model = new Model();
        for (const one of steps) run(system, model, one);
        check(system.store, model);
        check(new MvccStore(system.backend, TAIL), model);
      }),
      runs(300),
    );
  });

  test("HashKV does not depend on how far the clean-up of a compaction is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 6 }), async (steps, limit) => {
        const swept = new System(await memoryBackend().open());
        const unswept = new System(await memoryBackend().open());
        for (const one of steps) {
          run(swept, new Model(), one, swept.store.currentRevision);
          if (one.kind !== "sweep") run(unswept, new Model(), one, unswept.store.currentRevision);
        }
        const writes: BackendWrite[] = [];
        while (!swept.store.compactStep(writes, limit)) swept.commit(writes.splice(0));
        swept.commit(writes);
        for (
          let revision = Math.max(1, swept.store.compactRevision);
          revision <= swept.store.currentRevision;
          revision++
        ) {
          expect(swept.store.hashKv(revision)).toEqual(unswept.store.hashKv(revision));
        }
      }),
      runs(200),
    );
  });
});

function run(system: System, model: Model, one: Step, current = model.current): void {
  const writes: BackendWrite[] = [];
  if (one.kind === "txn") {
    const txn = system.store.write(writes);
    for (const each of one.changes) {
      if ("put" in each) txn.put(keyBytes(each.put), Buffer.from(each.value), 0n);
      else txn.deleteRange(spanOf(range(each.remove[0], each.remove[1])));
    }
    txn.end();
    model.txn(one.changes);
  } else if (one.kind === "compact") {
    const revision = current - one.back;
    const failure = system.store.compact(revision, writes);
    if (failure === undefined) model.compacted = revision;
  } else if (one.kind === "sweep") {
    system.store.compactStep(writes, one.limit);
  } else {
    system.store = new MvccStore(system.backend, TAIL);
  }
  system.commit(writes);
}

function check(store: MvccStore, model: Model): void {
  expect(store.currentRevision).toBe(model.current);
  expect(store.compactRevision).toBe(model.compacted);
  for (const [key, end] of [
    ["a", "\0"],
    ["b", "c"],
    ["b", ""],
    ["c", "a"],
  ] as const) {
    const span = spanOf(range(key, end));
    for (let revision = Math.max(1, model.compacted); revision <= model.current; revision++) {
      const all = model.range(span, revision);
      expect(read(store, span, { revision })).toEqual({
        kvs: plainly(all),
        count: all.length,
        revision: model.current,
      });
      expect(read(store, span, { revision, limit: 1 })).toEqual({
        kvs: plainly(all.slice(0, 1)),
        count: all.length,
        revision: model.current,
      });
      expect(store.range(span, { revision, countOnly: true })).toEqual({
        kvs: [],
        count: all.length,
        revision: model.current,
      });
    }
    const told = model.events.map((events) => events.filter((event) => spanHas(span, event.split(" ")[1] ?? "")));
    expect(eventsOf(store, range(key, end), model.compacted + 1, model.current)).toEqual(
      told.slice(Math.max(0, model.compacted + 1)).flat(),
    );
    // At the compacted revision itself everything that happened is still told, deletions too. (These transactions may change a key
    // twice, which no client can: of such a key the last change counts.)
    if (model.compacted > 0)
      expect(lastOfEachKey(eventsOf(store, range(key, end), model.compacted, model.compacted))).toEqual(
        lastOfEachKey(told[model.compacted] ?? []),
      );
  }
  if (model.compacted > 1)
    expect(store.range(spanOf(range("a", "")), { revision: model.compacted - 1 })).toBe("compacted");
  expect(store.range(spanOf(range("a", "")), { revision: model.current + 1 })).toBe("future");
}

function read(store: MvccStore, span: Span, options: RangeOptions): object {
  const result = store.range(span, options);
  return typeof result === "string" ? { result } : { ...result, kvs: plainly(result.kvs) };
}

function lastOfEachKey(events: readonly string[]): Map<string | undefined, string> {
  return new Map(events.map((event) => [event.split(" ")[1], event]));
}

function eventsOf(store: MvccStore, of: KeyRange, from: number, to: number): string[] {
  const told: string[] = [];
  let next = Math.max(from, 1);
  while (next <= to) {
    const answer = store.eventsBetween(of, next, to, 2);
    expect(answer.next).toBeGreaterThan(next);
    for (const { revision, events } of answer.revisions) {
      expect(revision).toBeGreaterThanOrEqual(next);
      expect(revision).toBeLessThan(answer.next);
      for (const { type, kv: at } of events) {
        expect(at.modRevision).toBe(revision);
        told.push(
          type === "put" ? `put ${keyText(at.key)} ${Buffer.from(at.value).toString()}` : `delete ${keyText(at.key)}`,
        );
      }
    }
    next = answer.next;
  }
  return told;
}

function range(key: string, end: string): KeyRange {
  return { key: keyBytes(key), rangeEnd: keyBytes(end) };
}

function kv(key: string, value: string, created: number, modified: number, version: number): KeyValue {
  return {
    key: keyBytes(key),
    value: Buffer.from(value),
    createRevision: created as never,
    modRevision: modified as never,
    version,
    lease: 0n,
  };
}

/** Buffers of either kind compare by their bytes. */
function plainly(kvs: readonly KeyValue[]): KeyValue[] {
  return kvs.map((one) => ({ ...one, key: Buffer.from(one.key), value: Buffer.from(one.value) }));
}
