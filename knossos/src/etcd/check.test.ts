import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkLinearizable } from "../engine/linearizability.ts";
import { foldHistory } from "../fold.ts";
import type { History, HistoryEvent, Operation } from "../history.ts";
import { checkLease } from "../lease.ts";
import { etcd } from "../models/etcd.ts";
import type { EtcdInput, EtcdOutput } from "../models/etcd-types.ts";
import { bruteForce } from "../testing/brute-force.ts";
import type { RunOptions } from "../testing/etcd-run.ts";
import { etcdRun } from "../testing/etcd-run.ts";
import { mutateAnswer } from "../testing/mutate.ts";
import { HISTORY_PLANTS } from "../testing/plants.ts";
import { Rng, runs } from "../testing/random.ts";
import type { Verdict } from "../verdict.ts";
import { combine } from "../verdict.ts";
import { checkEtcd } from "./check.ts";

const seeds = fc.integer({ min: 0, max: 0x7fffffff });

function check(history: History<EtcdInput, EtcdOutput>): Verdict[] {
  return checkEtcd(history as unknown as History, { timeLimitMs: 10_000 });
}

/** Everything that is wrong with a history that must be right. */
function complaints(verdicts: readonly Verdict[]): readonly unknown[] {
  return verdicts
    .filter((verdict) => verdict.valid !== true && verdict.why?.includes("nothing to judge") !== true)
    .map(({ checker, valid, why, findings }) => ({ checker, valid, why, findings }));
}

function optionsOf(rng: Rng): RunOptions {
  return {
    seed: rng.int(1 << 30),
    operations: rng.pick([20, 60, 200]),
    clients: rng.pick([2, 5, 10]),
    keys: rng.pick([2, 5, 12]),
    doubt: rng.pick([0, 0.02, 0.1, 0.3]),
    leases: rng.chance(0.5),
    serializable: rng.chance(0.5),
    compaction: rng.chance(0.3),
    watchers: rng.int(4),
    fewValues: rng.chance(0.2),
    foreign: rng.chance(0.1) ? "apart" : "none",
  };
}

describe("true runs of a store", () => {
  test("are valid, whatever was in doubt", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(complaints(check(etcdRun(optionsOf(new Rng(seed)))))).toEqual([]);
      }),
      { numRuns: runs(100) },
    );
  });

  test("are never false when somebody else writes the same keys", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const verdicts = check(etcdRun({ ...optionsOf(new Rng(seed)), foreign: "ours" }));
        expect(verdicts.filter((verdict) => verdict.valid === false)).toEqual([]);
      }),
      { numRuns: runs(50) },
    );
  });

  test("settle in seconds at the size of a trial", () => {
    const verdicts = check(
      etcdRun({
        seed: 11,
        operations: 12_000,
        clients: 10,
        keys: 100,
        doubt: 0.02,
        leases: true,
        serializable: true,
        watchers: 2,
      }),
    );
    expect(complaints(verdicts)).toEqual([]);
    expect(verdicts[0]?.stats["gaps"]).toBeGreaterThan(50);
    expect(verdicts[0]?.stats["milliseconds"]).toBeLessThan(10_000);
  });
});

describe("the guided engine and brute force", () => {
  test("agree on small histories, true and false", () => {
    const count = { true: 0, false: 0 };
    fc.assert(
      fc.property(seeds, (seed) => {
        const history = smallHistory(new Rng(seed));
        const whole = {
          ...history,
          operations: [...history.operations, ...expiries(history)].sort((a, b) => a.invoked - b.invoked),
        };
        const expected = bruteForce(whole, etcd);
        count[`${expected}`]++;
        const guided = check(history)[0];
        if (guided?.why?.includes("nothing to judge") !== true) expect(guided?.valid).toBe(expected);
        for (const engine of ["frontier", "depth-first"] as const) {
          expect(checkLinearizable(whole as unknown as History, etcd, { engine }).valid).toBe(expected);
        }
      }),
      { numRuns: runs(1000) },
    );
    expect(Math.min(count.true, count.false)).toBeGreaterThan(runs(1000) / 4);
  });
});

function smallHistory(rng: Rng): History<EtcdInput, EtcdOutput> {
  const history = etcdRun({
    seed: rng.int(1 << 30),
    operations: 3 + rng.int(5),
    clients: 2 + rng.int(3),
    keys: 1 + rng.int(3),
    doubt: rng.pick([0, 0.2, 0.4]),
    leases: rng.chance(0.3),
    compaction: rng.chance(0.2),
    fewValues: rng.chance(0.5),
  });
  if (rng.chance(0.4)) return history;
  const once = mutateAnswer(history, rng);
  return rng.chance(0.3) ? mutateAnswer(once, rng) : once;
}

/** To the general model an expiry is a revoke that nobody answered. */
function expiries(history: History<EtcdInput, EtcdOutput>): Operation<EtcdInput, EtcdOutput>[] {
  return history.operations.flatMap((operation): Operation<EtcdInput, EtcdOutput>[] => {
    const { input, output, outcome, invoked, op } = operation;
    if (input.f !== "lease-grant" || outcome === "fail") return [];
    const id = output?.f === "lease-grant" ? output.id : input.id;
    return [{ op: 10_000 + op, process: 10_000 + op, input: { f: "lease-revoke", id }, outcome: "info", invoked }];
  });
}

describe("planted in a true run", () => {
  for (const [name, plant] of Object.entries(HISTORY_PLANTS)) {
    test(`a ${name} is found`, () => {
      let planted = 0;
      fc.assert(
        fc.property(seeds, (seed) => {
          const rng = new Rng(seed);
          const run = etcdRun({ ...optionsOf(rng), operations: 120, watchers: 3, fewValues: false, foreign: "none" });
          const history = plant(run, rng);
          if (history === undefined) return;
          planted++;
          expect(combine(check(history))).toBe(false);
        }),
        { numRuns: runs(40) },
      );
      expect(planted).toBeGreaterThan(5);
    });
  }

  test("a write that was acknowledged but never made is found", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(combine(check(etcdRun({ seed, operations: 100, loseWriteAt: 40, doubt: 0.02 })))).toBe(false);
      }),
      { numRuns: runs(30) },
    );
  });

  test("leases that expire too early are found, and no others", () => {
    let found = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const options = { seed, operations: 800, leases: true, doubt: 0, keys: 10 };
        expect(checkLease(etcdRun(options) as unknown as History, { electionTimeoutMs: 1000 }).findings).toEqual([]);
        if (
          checkLease(etcdRun({ ...options, leaseShare: 0.3 }) as unknown as History, { electionTimeoutMs: 1000 })
            .valid === false
        )
          found++;
      }),
      { numRuns: runs(10) },
    );
    expect(found).toBeGreaterThan(runs(10) / 2);
  });
});

const kv = (key: string, value: string, createRevision: number, modRevision: number, version: number) => ({
  key,
  value,
  createRevision,
  modRevision,
  version,
});

function story(...lines: readonly HistoryEvent[]): History {
  return foldHistory([{ type: "start", format: 1, model: "etcd", foreignWriters: false }, ...lines]);
}

function done(op: number, from: number, to: number, input: EtcdInput, output: EtcdOutput): readonly HistoryEvent[] {
  return [
    { type: "invoke", op, process: op, time: from, input: input as never },
    { type: "ok", op, process: op, time: to, output: output as never },
  ];
}

describe("said right", () => {
  const put = (op: number, from: number, to: number, key: string, value: string, revision: number) =>
    done(op, from, to, { f: "put", key, value }, { f: "put", revision });

  test("a serializable range may go back, a linearizable one may not", () => {
    const old = { f: "range", revision: 2, kvs: [kv("a", "1", 2, 2, 1)], count: 1, more: false } as const;
    const writes = [...put(0, 0, 1, "a", "1", 2), ...put(1, 2, 3, "a", "2", 3)];
    expect(
      check(story(...writes, ...done(2, 5, 6, { f: "range", key: "a", serializable: true }, old)) as never).map(
        (v) => v.valid,
      ),
    ).toEqual([true, true]);
    expect(check(story(...writes, ...done(2, 5, 6, { f: "range", key: "a" }, old)) as never)[0]?.valid).toBe(false);
  });

  test("a serializable range cannot know a revision before it was made", () => {
    const early = done(
      2,
      0,
      1,
      { f: "range", key: "a", serializable: true },
      { f: "range", revision: 2, kvs: [kv("a", "1", 2, 2, 1)], count: 1, more: false },
    );
    const verdicts = check(story(...early, ...put(0, 5, 6, "a", "1", 2)) as never);
    expect(verdicts.map((v) => [v.checker, v.valid])).toEqual([
      ["linearizability/etcd", true],
      ["serializable/etcd", false],
    ]);
  });

  test("a revision that nobody made is named", () => {
    const [verdict] = check(story(...put(0, 0, 1, "a", "1", 2), ...put(1, 2, 3, "a", "2", 4)) as never);
    expect(verdict?.findings[0]?.kind).toBe("unexplained-revision");
    expect(verdict?.findings[0]?.message).toContain("revision 3");
  });

  test("keys vanish only with a lease that was granted", () => {
    const gone = done(2, 4, 5, { f: "range", key: "a" }, { f: "range", revision: 3, kvs: [], count: 0, more: false });
    const leased = [
      ...done(
        0,
        0,
        1,
        { f: "lease-grant", id: "7", ttlSeconds: 1 },
        { f: "lease-grant", revision: 1, id: "7", ttlSeconds: 1 },
      ),
      ...done(1, 2, 3, { f: "put", key: "a", value: "1", lease: "7" }, { f: "put", revision: 2 }),
    ];
    expect(check(story(...leased, ...gone) as never)[0]?.valid).toBe(true);
    expect(check(story(...put(1, 2, 3, "a", "1", 2), ...gone) as never)[0]?.valid).toBe(false);
  });

  test("a put with a lease that does not exist is refuted", () => {
    expect(
      check(
        story(...done(0, 0, 1, { f: "put", key: "a", value: "1", lease: "7" }, { f: "put", revision: 2 })) as never,
      )[0]?.valid,
    ).toBe(false);
  });

  test("operations and watches that hold alone but not together disagree, and both are named", () => {
    const told = { revision: 2, events: [{ type: "put", kv: kv("a", "other", 2, 2, 1) }] };
    const verdicts = check(
      story(
        ...put(0, 0, 1, "a", "1", 2),
        { type: "open", stream: 0, process: 9, time: 0, input: { f: "watch", key: "a", startRevision: 1 } },
        { type: "message", stream: 0, time: 0, message: { revision: 1, created: true, events: [] } },
        { type: "message", stream: 0, time: 3, message: told as never },
      ) as never,
    );
    expect(verdicts.map((v) => [v.checker, v.valid])).toEqual([
      ["linearizability/etcd", true],
      ["watch", true],
      ["watch-joined", false],
    ]);
    expect(verdicts[2]?.findings[0]).toMatchObject({ kind: "disagreement", operations: [0], streams: [0] });
  });

  test("an answer below the compacted revision is refuted once the compaction returned", () => {
    const lines = [
      ...put(0, 0, 1, "a", "1", 2),
      ...put(1, 2, 3, "a", "2", 3),
      ...done(2, 4, 5, { f: "compact", revision: 3 }, { f: "compact", revision: 3 }),
    ];
    const past = (from: number, to: number) =>
      done(
        3,
        from,
        to,
        { f: "range", key: "a", revision: 2 },
        { f: "range", revision: 3, kvs: [kv("a", "1", 2, 2, 1)], count: 1, more: false },
      );
    expect(check(story(...lines, ...past(6, 7)) as never)[0]?.valid).toBe(false);
    const overlapping = [...lines.slice(0, 5), ...past(4, 6), ...lines.slice(5)];
    expect(check(story(...overlapping) as never)[0]?.valid).toBe(true);
  });

  test("answers without revisions are judged by the general engines", () => {
    const bare = (value: string) => [
      ...done(0, 0, 1, { f: "put", key: "a", value: "1" }, { f: "put" }),
      ...done(1, 2, 3, { f: "range", key: "a" }, { f: "range", kvs: [kv("a", value, 2, 2, 1)], count: 1, more: false }),
    ];
    expect(check(story(...bare("1")) as never).map((v) => [v.checker, v.valid])).toEqual([
      ["linearizability/etcd", true],
    ]);
    expect(check(story(...bare("2")) as never)[0]?.valid).toBe(false);
  });

  test("a history that begins later says what was there", () => {
    const initial = { revision: 10, kvs: [kv("a", "old", 4, 7, 3)] };
    const judged = (version: number) => {
      const history = {
        ...story(
          ...done(0, 0, 1, { f: "put", key: "a", value: "1" }, { f: "put", revision: 11 }),
          ...done(
            1,
            2,
            3,
            { f: "range", key: "a" },
            { f: "range", revision: 11, kvs: [kv("a", "1", 4, 11, version)], count: 1, more: false },
          ),
        ),
        initial,
      };
      return check(history as never)[0]?.valid;
    };
    expect([judged(4), judged(5)]).toEqual([true, false]);
  });

  test("nothing is known of what a store held before its history began; what it held then may not be forgotten", () => {
    const initial = { revision: 10, kvs: [kv("a", "old", 4, 7, 3)] };
    const judged = (revision: number, kvs: readonly object[]) => {
      const past = { f: "range", revision: 11, kvs, count: kvs.length, more: false };
      const history = {
        ...story(
          ...done(0, 0, 1, { f: "put", key: "a", value: "1" }, { f: "put", revision: 11 }),
          ...done(1, 2, 3, { f: "range", key: "a", revision }, past as never),
        ),
        initial,
      };
      return check(history as never)[0]?.valid;
    };
    expect(judged(6, [kv("a", "older", 4, 6, 2)])).toBe(true);
    expect(judged(3, [])).toBe(true);
    expect(judged(10, [kv("a", "old", 4, 7, 3)])).toBe(true);
    expect(judged(10, [])).toBe(false);
    expect(judged(10, [kv("a", "1", 4, 11, 4)])).toBe(false);
  });

  test("an answer that cannot be to its request is refuted at once", () => {
    const impossible = { f: "range", revision: 1, kvs: [], count: 1, more: false } as const;
    expect(check(story(...done(0, 0, 1, { f: "range", key: "a" }, impossible)) as never)[0]?.findings[0]?.kind).toBe(
      "impossible-answer",
    );
  });

  test("no time is unknown, not valid", () => {
    const run = etcdRun({ seed: 3, operations: 400, doubt: 0.1 });
    let now = 0;
    const verdicts = checkEtcd(run as unknown as History, { timeLimitMs: 0, now: () => ++now });
    expect(verdicts[0]?.valid).toBe("unknown");
    expect(verdicts[0]?.why).toContain("time limit");
  });

  test("an operation that is none of etcd's is named", () => {
    expect(() => check(story(...done(4, 0, 1, { f: "increment" } as never, {} as never)) as never)).toThrow(
      /operation 4: its input has f "increment"/,
    );
    expect(() =>
      check(story(...done(5, 0, 1, { f: "put", key: "a", value: "1" }, { f: "put", revision: "2" } as never)) as never),
    ).toThrow(/operation 5: its output field revision is "2"; a whole number/);
  });
});
