import { expect, test } from "vitest";
import fc from "fast-check";
import { WatchCreateRequest } from "../../api/etcd/gen/rpc.ts";
import type { MvccReader } from "../apply/types.ts";
import type { KeyValue, MvccEvent, Revision, RevisionEvents } from "../mvcc/types.ts";
import { WatchHub } from "./watch.ts";
import type { WatchAnswer, WatchStream } from "./watch-stream.ts";

const b = (text: string) => Buffer.from(text);
const runs = 100 * Number(process.env["SEATRIAL_RUNS"] ?? 1);

/** The events of a store that keeps everything, and a hub over it. */
class World {
  readonly log: RevisionEvents[] = [];
  compacted = 0;
  readonly hub = new WatchHub(() => this.#reader());

  get revision(): number {
    return 1 + this.log.length;
  }

  /** One revision; "-key" deletes. */
  write(...keys: string[]): void {
    this.hub.publish([this.apply(...keys)]);
  }

  apply(...keys: string[]): RevisionEvents {
    const revision = (this.revision + 1) as Revision;
    const events = keys.map((name): MvccEvent => {
      const key = name.replace(/^-/, "");
      const before = this.keyAt(key, revision - 1);
      const kv: KeyValue = name.startsWith("-")
        ? { key: b(key), value: b(""), createRevision: 0 as Revision, modRevision: revision, version: 0, lease: 0n }
        : {
            key: b(key),
            value: b(`${key}@${revision}`),
            createRevision: before?.createRevision ?? revision,
            modRevision: revision,
            version: (before?.version ?? 0) + 1,
            lease: 0n,
          };
      return { type: name.startsWith("-") ? "delete" : "put", kv };
    });
    this.log.push({ revision, events });
    return { revision, events };
  }

  keyAt(key: string, revision: number): KeyValue | undefined {
    const last = this.log
      .slice(0, revision - 1)
      .flatMap(({ events }) => events)
      .findLast(({ kv }) => Buffer.from(kv.key).toString() === key);
    return last?.type === "put" ? last.kv : undefined;
  }

  open(): WatchStream {
    return this.hub.open({ fragmentBytes: 1000 });
  }

  #reader(): MvccReader {
    return {
      currentRevision: this.revision as Revision,
      compactRevision: this.compacted as Revision,
      keyAt: (key, revision) => this.keyAt(Buffer.from(key).toString(), revision),
      hashKv: () => ({ hash: 0, compactRevision: 0 as Revision, hashRevision: 0 as Revision }),
      eventsBetween: ({ key, rangeEnd }, from, to, limit) => {
        const within = ({ kv }: MvccEvent) =>
          rangeEnd.length === 0
            ? Buffer.compare(kv.key, key) === 0
            : Buffer.compare(kv.key, key) >= 0 &&
              ((rangeEnd.length === 1 && rangeEnd[0] === 0) || Buffer.compare(kv.key, rangeEnd) < 0);
        const revisions: RevisionEvents[] = [];
        let count = 0;
        let next = from;
        for (; next <= to && count < limit; next++) {
          const events = this.log[next - 2]?.events.filter(within) ?? [];
          if (events.length > 0) revisions.push({ revision: next as Revision, events });
          count += events.length;
        }
        return { revisions, next: next as Revision };
      },
    };
  }
}

const create = (fields: Partial<WatchCreateRequest>) => WatchCreateRequest.fromPartial({ key: b("a"), ...fields });
function drain(stream: WatchStream): WatchAnswer[] {
  const answers: WatchAnswer[] = [];
  for (let answer = stream.take(); answer !== undefined; answer = stream.take()) answers.push(answer);
  return answers;
}
const told = (answers: readonly WatchAnswer[]) =>
  answers.flatMap(({ events }) =>
    events.map(({ kv }) => `${Buffer.from(kv?.key ?? []).toString()}@${kv?.modRevision}`),
  );

test("a created answer first, then whole revisions, with the newest revision in the header", () => {
  const world = new World();
  const stream = world.open();
  world.write("a");
  stream.create(create({ rangeEnd: b("c") }));
  world.write("a", "b", "c");
  world.write("x");
  expect(drain(stream)).toMatchObject([
    { created: true, watchId: 0n, revision: 2, events: [] },
    { watchId: 0n, revision: 3, events: [{ kv: { key: b("a") } }, { kv: { key: b("b") } }] },
  ]);
});

test("a start in the past is read from the store, one in the future waits", () => {
  const world = new World();
  for (let i = 0; i < 5; i++) world.write("a");
  const stream = world.open();
  stream.create(create({ startRevision: 4n }));
  stream.create(create({ startRevision: 8n, watchId: 7n }));
  expect(told(drain(stream))).toEqual(["a@4", "a@5", "a@6"]);
  world.write("a");
  world.write("a");
  const answers = drain(stream);
  expect(told(answers.filter(({ watchId }) => watchId === 0n))).toEqual(["a@7", "a@8"]);
  expect(told(answers.filter(({ watchId }) => watchId === 7n))).toEqual(["a@8"]);
});

test("filters, previous values, an open end and a single key", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({ watchId: 1n, filters: [0] }));
  stream.create(create({ watchId: 2n, filters: [1], prevKv: true }));
  stream.create(create({ watchId: 3n, key: b("b"), rangeEnd: Uint8Array.of(0) }));
  world.write("a");
  world.write("a", "zz");
  world.write("-a");
  const of = (id: bigint) => answers.filter(({ watchId, created }) => watchId === id && created !== true);
  const answers = drain(stream);
  expect(told(of(1n))).toEqual(["a@4"]);
  expect(
    of(2n).flatMap(({ events }) => events.map(({ prevKv }) => prevKv && Buffer.from(prevKv.value).toString())),
  ).toEqual([undefined, "a@2"]);
  expect(told(of(3n))).toEqual(["zz@3"]);
});

test("what cannot be watched is refused in etcd's words", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({ startRevision: -1n }));
  stream.create(create({ key: b("b"), rangeEnd: b("a") }));
  stream.create(create({ watchId: 5n }));
  stream.create(create({ watchId: 5n }));
  expect(
    drain(stream).map(({ watchId, created, canceled, cancelReason }) => [watchId, created, canceled, cancelReason]),
  ).toEqual([
    [-1n, true, true, "etcdserver: mvcc: required revision has been compacted"],
    [-1n, true, true, "mvcc: watcher range is empty"],
    [5n, true, undefined, undefined],
    [-1n, true, true, "mvcc: duplicate watch ID provided on the WatchStream"],
  ]);
});

test("a compacted start is created, then canceled with the compact revision; a canceled watcher hears nothing more", () => {
  const world = new World();
  for (let i = 0; i < 5; i++) world.write("a");
  world.compacted = 4;
  const stream = world.open();
  stream.create(create({ startRevision: 2n }));
  stream.create(create({ watchId: 9n }));
  stream.cancel(9n);
  stream.cancel(9n);
  stream.cancel(1234n);
  world.write("a");
  expect(
    drain(stream).map(({ watchId, created, canceled, compactRevision, revision }) => [
      watchId,
      created,
      canceled,
      compactRevision,
      revision,
    ]),
  ).toEqual([
    [0n, true, undefined, undefined, 6],
    [9n, true, undefined, undefined, 6],
    [9n, undefined, true, undefined, 6],
    [0n, undefined, true, 4, 0],
  ]);
});

test("a start at the compacted revision itself is served, with what happened at it but without what was before it", () => {
  const world = new World();
  world.write("a", "b");
  world.write("a", "-b");
  world.write("a");
  world.compacted = 3;
  const stream = world.open();
  stream.create(create({ rangeEnd: b("c"), startRevision: 3n, prevKv: true }));
  const answers = drain(stream);
  expect(answers.some(({ canceled }) => canceled)).toBe(false);
  expect(
    answers.flatMap(({ events }) => events.map(({ type, kv, prevKv }) => [type, kv?.modRevision, prevKv?.modRevision])),
  ).toEqual([
    [0, 3n, undefined],
    [1, 3n, undefined],
    [0, 4n, 3n],
  ]);
});

test("a watcher that waits at the compacted revision when the compaction comes goes on; one behind it is canceled", () => {
  const world = new World();
  for (let i = 0; i < 5; i++) world.write("a");
  const stream = world.open();
  stream.create(create({ watchId: 1n, startRevision: 3n }));
  stream.create(create({ watchId: 2n, startRevision: 4n }));
  world.compacted = 4;
  const answers = drain(stream);
  expect(told(answers.filter(({ watchId }) => watchId === 2n))).toEqual(["a@4", "a@5", "a@6"]);
  expect(answers.filter(({ watchId }) => watchId === 1n)).toMatchObject([
    { created: true },
    { canceled: true, compactRevision: 4 },
  ]);
});

test("progress is told once, when every watcher of the stream has everything", () => {
  const world = new World();
  world.write("a");
  const stream = world.open();
  stream.askProgress();
  stream.create(create({ startRevision: 2n }));
  stream.create(create({ watchId: 3n }));
  world.write("b");
  const answers = drain(stream);
  expect(answers.at(-1)).toMatchObject({ watchId: -1n, revision: 3, events: [] });
  expect(answers.filter(({ watchId }) => watchId === -1n)).toHaveLength(1);
});

test("a progress notification is left out for who had events", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({ progressNotify: true }));
  stream.create(create({ watchId: 2n, key: b("b"), progressNotify: true }));
  stream.create(create({ watchId: 3n, key: b("b") }));
  world.write("a");
  drain(stream);
  world.hub.notifyProgress();
  expect(drain(stream)).toMatchObject([{ watchId: 2n, revision: 2 }]);
  world.hub.notifyProgress();
  expect(drain(stream).map(({ watchId }) => watchId)).toEqual([0n, 2n]);
});

test("fragments are marked, and nothing is lost between them", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({ rangeEnd: b("b"), fragment: true }));
  world.write(...Array.from({ length: 60 }, (_, i) => `a${i}`));
  const [, ...pieces] = drain(stream);
  expect(pieces.length).toBeGreaterThan(2);
  expect(pieces.map(({ fragment }) => fragment ?? false)).toEqual([
    ...Array.from({ length: pieces.length - 1 }, () => true),
    false,
  ]);
  expect(told(pieces)).toHaveLength(60);
});

test("a reader that does not read costs a bounded queue and loses nothing", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({}));
  for (let i = 0; i < 5000; i++) world.write("a");
  expect(world.hub.counts().slow).toBe(1);
  expect(told(drain(stream))).toEqual(Array.from({ length: 5000 }, (_, i) => `a@${i + 2}`));
  expect(world.hub.counts().slow).toBe(0);
});

test("a store that was replaced is read back from where each watcher stood", () => {
  const world = new World();
  const stream = world.open();
  stream.create(create({}));
  world.write("a");
  const before = world.revision;
  world.apply("a");
  world.apply("b");
  world.apply("a");
  world.hub.storeReplaced(before);
  expect(told(drain(stream))).toEqual(["a@2", "a@3", "a@5"]);
  world.write("a");
  expect(told(drain(stream))).toEqual(["a@6"]);
});

test("whatever is written, watched and read in whatever order: each watcher hears its revisions, in order, once", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        write: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 3 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        watch: fc.constantFrom("a", "b", "c"),
        end: fc.constantFrom("", "c", "\0"),
        back: fc.integer({ min: -3, max: 8 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ read: fc.integer({ min: 1, max: 5 }) }) },
    { weight: 1, arbitrary: fc.record({ burst: fc.integer({ min: 250, max: 600 }) }) },
    { weight: 1, arbitrary: fc.record({ replaced: fc.integer({ min: 1, max: 4 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world = new World();
      const stream = world.open();
      const answers: WatchAnswer[] = [];
      const wanted = new Map<bigint, { from: number; key: string; end: string }>();
      for (const s of steps) {
        if ("write" in s) world.write(...s.write);
        else if ("burst" in s) for (let i = 0; i < s.burst; i++) world.write("a");
        else if ("replaced" in s) {
          const before = world.revision;
          for (let i = 0; i < s.replaced; i++) world.apply("b");
          world.hub.storeReplaced(before);
        } else if ("read" in s) {
          for (let i = 0; i < s.read; i++) {
            const answer = stream.take();
            if (answer) answers.push(answer);
          }
        } else {
          if (s.end === "c" && s.watch === "c") continue;
          const from = s.back < 0 ? world.revision - s.back : Math.max(1, world.revision - s.back);
          const id = BigInt(wanted.size + 1);
          wanted.set(id, { from, key: s.watch, end: s.end });
          stream.create(create({ watchId: id, key: b(s.watch), rangeEnd: b(s.end), startRevision: BigInt(from) }));
        }
      }
      answers.push(...drain(stream));
      for (const [id, { from, key, end }] of wanted) {
        const expected = world.log
          .filter(({ revision }) => revision >= from)
          .flatMap(({ revision, events }) =>
            events
              .map(({ kv }) => Buffer.from(kv.key).toString())
              .filter((k) => (end === "" ? k === key : k >= key && (end === "\0" || k < end)))
              .map((k) => `${k}@${revision}`),
          );
        expect(told(answers.filter(({ watchId }) => watchId === id))).toEqual(expected);
      }
      const headers = answers.map(({ revision }) => revision);
      expect(headers).toEqual(headers.toSorted((x, y) => x - y));
    }),
    { numRuns: runs },
  );
});
