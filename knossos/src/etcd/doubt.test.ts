import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldHistory } from "../fold.ts";
import type { History, HistoryEvent, Operation } from "../history.ts";
import { etcd } from "../models/etcd.ts";
import type { EtcdInput, EtcdKv, EtcdOutput } from "../models/etcd-types.ts";
import { bruteForce } from "../testing/brute-force.ts";
import { etcdRun } from "../testing/etcd-run.ts";
import { mutateAnswer } from "../testing/mutate.ts";
import { Rng, runs } from "../testing/random.ts";
import type { Verdict } from "../verdict.ts";
import { checkEtcd } from "./check.ts";

function story(...lines: readonly (readonly HistoryEvent[])[]): History {
  return foldHistory([{ type: "start", format: 1, model: "etcd", foreignWriters: false }, ...lines.flat()]);
}

function done(op: number, input: EtcdInput, output: EtcdOutput): readonly HistoryEvent[] {
  return [
    { type: "invoke", op, process: op, time: 2 * op, input: input as never },
    { type: "ok", op, process: op, time: 2 * op + 1, output: output as never },
  ];
}

function doubtful(op: number, input: EtcdInput): readonly HistoryEvent[] {
  return [
    { type: "invoke", op, process: op, time: 2 * op, input: input as never },
    { type: "info", op, process: op, time: 2 * op + 1, error: { message: "no answer" } } as HistoryEvent,
  ];
}

const put = (key: string, value = "1"): EtcdInput => ({ f: "put", key, value });

function seen(revision: number, ...kvs: readonly EtcdKv[]): EtcdOutput {
  return { f: "range", revision, kvs, count: kvs.length, more: false };
}

function valid(history: History): Verdict["valid"] | undefined {
  return checkEtcd(history, { timeLimitMs: 10_000 })[0]?.valid;
}

describe("a put in doubt of a key that is seen gone later", () => {
  const grant = done(
    0,
    { f: "lease-grant", id: "7", ttlSeconds: 1 },
    { f: "lease-grant", revision: 1, id: "7", ttlSeconds: 1 },
  );
  /** Revision 4 is known; 2 and 3 are missing, and `a` is gone in the end. */
  const end = [...done(8, put("z"), { f: "put", revision: 4 }), ...done(9, { f: "range", key: "a" }, seen(4))];

  test("did not happen if nothing can have deleted it", () => {
    expect(valid(story(doubtful(1, put("a")), doubtful(2, put("b")), end))).toBe(false);
    expect(valid(story(doubtful(1, put("a")), doubtful(2, put("b")), doubtful(3, put("c")), end))).toBe(true);
  });

  test("may have happened if a delete in doubt covers it", () => {
    const remove: EtcdInput = { f: "delete", key: "a", rangeEnd: "b" };
    expect(valid(story(doubtful(1, put("a")), doubtful(2, remove), end))).toBe(true);
    expect(valid(story(doubtful(1, put("a")), doubtful(2, { ...remove, key: "aa" }), end))).toBe(false);
  });

  test("may have happened if a txn in doubt may delete it", () => {
    const txn = (key: string): EtcdInput => ({
      f: "txn",
      compare: [{ key: "z", target: "version", result: "=", operand: 0 }],
      success: [{ f: "delete", key }],
      failure: [],
    });
    expect(valid(story(doubtful(1, put("a")), doubtful(2, txn("a")), end))).toBe(true);
    expect(valid(story(doubtful(1, put("a")), doubtful(2, txn("b")), end))).toBe(false);
  });

  test("may have happened if its lease may have ended", () => {
    const leased = doubtful(1, { f: "put", key: "a", value: "1", lease: "7" });
    expect(valid(story(grant, leased, end))).toBe(true);
    expect(valid(story(grant, leased, doubtful(2, { f: "lease-revoke", id: "7" }), end))).toBe(true);
    expect(valid(story(grant, doubtful(1, put("a")), end))).toBe(false);
  });

  test("may have happened if another put attached the key to a lease that may have ended", () => {
    const three = [...done(8, put("z"), { f: "put", revision: 5 }), ...done(9, { f: "range", key: "a" }, seen(5))];
    const leased = doubtful(2, { f: "put", key: "a", value: "2", lease: "7" });
    expect(valid(story(grant, doubtful(1, put("a")), leased, three))).toBe(true);
  });

  test("may have happened if an acknowledged delete of a range may have met it", () => {
    const two = (deleted: number) => [
      ...doubtful(1, put("a")),
      ...doubtful(2, put("c")),
      ...done(3, put("b"), { f: "put", revision: 3 }),
      ...done(4, { f: "delete", key: "a", rangeEnd: "c" }, { f: "delete", revision: 4, deleted }),
      ...done(5, { f: "range", key: "a" }, seen(4)),
      ...done(6, { f: "range", key: "c" }, seen(4)),
    ];
    expect([valid(story(two(2))), valid(story(two(1)))]).toEqual([true, false]);
  });

  test("was not undone by the operation that did it", () => {
    const toggle: EtcdInput = {
      f: "txn",
      compare: [{ key: "a", target: "version", result: "=", operand: 0 }],
      success: [{ f: "put", key: "a", value: "1" }],
      failure: [{ f: "delete", key: "a" }],
    };
    const after = (...more: readonly (readonly HistoryEvent[])[]) => story(doubtful(1, toggle), ...more, end);
    expect(valid(after(doubtful(2, put("b"))))).toBe(false);
    expect(valid(after(doubtful(2, toggle)))).toBe(true);
  });

  test("counts as gone, too, if the key is created anew", () => {
    const anew = [
      ...done(7, put("z"), { f: "put", revision: 4 }),
      ...done(8, put("a", "2"), { f: "put", revision: 5 }),
      ...done(
        9,
        { f: "range", key: "a" },
        seen(5, { key: "a", value: "2", createRevision: 5, modRevision: 5, version: 1 }),
      ),
    ];
    expect(valid(story(doubtful(1, put("a")), doubtful(2, put("b")), anew))).toBe(false);
    expect(valid(story(doubtful(1, put("a")), doubtful(2, { f: "delete", key: "a" }), anew))).toBe(true);
  });
});

/**
 * Thousands of puts; on the way `pairs` puts in doubt that took effect (their keys are deleted in the end, so nobody saw when), each with
 * one that was called right after it and never took effect, though it is the likelier guess: its key is seen gone in the end only.
 * `repairs`: deletes in doubt that never took effect either, and might have undone that many of the wrong guesses.
 */
function longStory(operations: number, pairs: number, repairs = 0): History {
  const lines: HistoryEvent[] = [];
  let op = 0;
  let revision = 1;
  const every = Math.floor(operations / pairs);
  for (let i = 0; i < operations; i++) {
    if (i % every === every - 1) {
      const pair = Math.floor(i / every);
      lines.push(...doubtful(op++, put(`done/${pair}`)), ...doubtful(op++, put(`lost/${pair}`)));
      if (pair < repairs) lines.push(...doubtful(op++, { f: "delete", key: `lost/${pair}` }));
      revision++;
    }
    lines.push(...done(op++, put(`key/${i % 10}`, String(i)), { f: "put", revision: ++revision }));
  }
  for (let pair = 0; pair < pairs; pair++)
    lines.push(...done(op++, { f: "delete", key: `done/${pair}` }, { f: "delete", revision: ++revision, deleted: 1 }));
  lines.push(...done(op++, { f: "range", key: "lost/", rangeEnd: "lost0" }, seen(revision)));
  return story(lines);
}

describe("a long history with puts in doubt that never took effect", () => {
  test.each([
    ["and nothing that might have undone them", 0],
    ["and deletes in doubt that might have undone some", 20],
  ])("%s is decided at once", (_, repairs) => {
    const [verdict] = checkEtcd(longStory(4000, 60, repairs), { timeLimitMs: 10_000 });
    expect(verdict?.valid).toBe(true);
    expect(verdict?.stats["gaps"]).toBe(60);
    expect(verdict?.stats["milliseconds"]).toBeLessThan(1000);
    expect(verdict?.stats["steps"]).toBeLessThan(20_000);
  });
});

describe("much in doubt", () => {
  const seeds = fc.integer({ min: 0, max: 0x7fffffff });

  test(
    "the guided engine and brute force agree",
    () => {
      fc.assert(
        fc.property(seeds, (seed) => {
          const rng = new Rng(seed);
          const run = etcdRun({
            seed: rng.int(1 << 30),
            operations: 4 + rng.int(4),
            clients: 2 + rng.int(3),
            keys: 1 + rng.int(2),
            doubt: rng.pick([0.4, 0.6, 0.8]),
            leases: rng.chance(0.4),
            fewValues: rng.chance(0.3),
          });
          const history = rng.chance(0.5) ? run : mutateAnswer(run, rng);
          const operations = [...history.operations, ...expiries(history)].sort((a, b) => a.invoked - b.invoked);
          const [guided] = checkEtcd(history as unknown as History, { timeLimitMs: 10_000 });
          if (guided?.why?.includes("nothing to judge") === true) return;
          expect(guided?.valid).toBe(bruteForce({ ...history, operations }, etcd));
        }),
        { numRuns: runs(300) },
      );
    },
    runs(30_000),
  );

  test.each([
    { seed: 92787533, clients: 5, doubt: 0.3, operations: 250, leases: false },
    { seed: 338360736, clients: 2, doubt: 0.5, operations: 250, leases: false },
    { seed: 7526777, clients: 10, doubt: 0.5, operations: 120, leases: true },
  ])("a true run on which blaming less for a lingering key went wrong: $seed", (run) => {
    const history = etcdRun({ ...run, keys: 5 }) as unknown as History;
    expect(checkEtcd(history, { timeLimitMs: 5000 })[0]?.valid).toBe(true);
  });

  test("a true run is never false", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const rng = new Rng(seed);
        const run = etcdRun({
          seed,
          operations: rng.pick([40, 100, 200]),
          clients: rng.pick([2, 5, 10]),
          keys: rng.pick([3, 6, 12]),
          doubt: rng.pick([0.2, 0.4, 0.6]),
          leases: rng.chance(0.7),
          watchers: rng.int(2),
        });
        const verdicts = checkEtcd(run as unknown as History, { timeLimitMs: 500 });
        expect(verdicts.filter((verdict) => verdict.valid === false)).toEqual([]);
      }),
      { numRuns: runs(30) },
    );
  });
});

/** To the general model an expiry is a revoke that nobody answered. */
function expiries(history: History<EtcdInput, EtcdOutput>): Operation<EtcdInput, EtcdOutput>[] {
  return history.operations.flatMap((operation): Operation<EtcdInput, EtcdOutput>[] => {
    const { input, output, outcome, invoked, op } = operation;
    if (input.f !== "lease-grant" || outcome === "fail") return [];
    const id = output?.f === "lease-grant" ? output.id : input.id;
    return [{ op: 10_000 + op, process: 10_000 + op, input: { f: "lease-revoke", id }, outcome: "info", invoked }];
  });
}
