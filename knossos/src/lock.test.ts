import { describe, expect, test } from "vitest";
import { foldHistory } from "./fold.ts";
import type { HistoryEvent } from "./history.ts";
import { checkLock } from "./lock.ts";
import type { EtcdInput, EtcdOutput } from "./models/etcd-types.ts";

let next = 0;

function done(process: number, from: number, input: EtcdInput, output: EtcdOutput): readonly HistoryEvent[] {
  const op = next++;
  return [
    { type: "invoke", op, process, time: from, input: input as never },
    { type: "ok", op, process, time: from + 1, output: output as never },
  ];
}

const acquire = (process: number, at: number, token: number) =>
  done(
    process,
    at,
    {
      f: "txn",
      compare: [{ key: "lock", target: "create", result: "=", operand: 0 }],
      success: [{ f: "put", key: "lock", value: `p${process}`, lease: String(process) }],
      failure: [],
    },
    { f: "txn", revision: token, succeeded: true, answers: [{ f: "put" }] },
  );
const write = (process: number, at: number, token: number, revision: number, text = `${token}:x`) =>
  done(
    process,
    at,
    {
      f: "txn",
      compare: [{ key: "lock", target: "create", result: "=", operand: token }],
      success: [{ f: "put", key: "resource", value: text }],
      failure: [],
    },
    { f: "txn", revision, succeeded: true, answers: [{ f: "put" }] },
  );
const revoke = (process: number, at: number, revision: number) =>
  done(process, at, { f: "lease-revoke", id: String(process) }, { f: "lease-revoke", revision });
const read = (at: number, token: number, modRevision: number, revision: number) =>
  done(
    9,
    at,
    { f: "range", key: "resource" },
    {
      f: "range",
      revision,
      kvs: [{ key: "resource", value: `${token}:x`, createRevision: 3, modRevision, version: 2 }],
      count: 1,
      more: false,
    },
  );

function judge(...lines: readonly (readonly HistoryEvent[])[]) {
  const verdict = checkLock(
    foldHistory([{ type: "start", format: 1, model: "etcd", foreignWriters: false }, ...lines.flat()]),
  );
  return [verdict.valid, ...verdict.findings.map((finding) => finding.kind)];
}

describe("a fenced lock", () => {
  test("that keeps its writers apart is valid", () => {
    expect(judge(acquire(1, 0, 2), write(1, 2, 2, 3), revoke(1, 4, 4), acquire(2, 6, 5), write(2, 8, 5, 6))).toEqual([
      true,
    ]);
  });
  test("must not let an older token write after a newer one", () => {
    const both = [acquire(1, 0, 2), write(1, 2, 2, 3), revoke(1, 4, 4), acquire(2, 6, 5), write(2, 8, 5, 6)];
    expect(judge(...both, write(1, 10, 2, 7))).toEqual([false, "older-token-after-newer"]);
    // The revision says before, real time says after.
    expect(judge(...both, write(1, 10, 2, 4))).toEqual([false, "older-token-after-newer"]);
    // Seen by a reader only.
    expect(judge(...both, read(10, 2, 7, 7))).toEqual([false, "older-token-after-newer"]);
  });
  test("hands each token out once, and writes need one that was handed out", () => {
    expect(judge(acquire(1, 0, 2), acquire(2, 2, 2), write(1, 4, 2, 3))).toEqual([
      false,
      "token-given-twice",
      "overlapping-holders",
    ]);
    expect(judge(acquire(1, 0, 2), write(1, 4, 4, 5))).toEqual([false, "token-never-given"]);
    expect(judge(acquire(1, 0, 5), write(1, 4, 5, 3))).toEqual([false, "token-from-the-future"]);
    expect(judge(acquire(1, 0, 2), write(1, 4, 2, 3, "9:x"))).toContain("wrong-token");
  });
  test("reports overlapping holders without failing", () => {
    expect(judge(acquire(1, 0, 2), acquire(2, 6, 5), write(2, 8, 5, 6))).toEqual([true, "overlapping-holders"]);
  });
  test("finds a write that nothing fences", () => {
    expect(
      judge(
        acquire(1, 0, 2),
        write(1, 2, 2, 3),
        done(5, 4, { f: "put", key: "resource", value: "free" }, { f: "put", revision: 4 }),
      ),
    ).toEqual([false, "unfenced-write"]);
  });
  test("without a fenced write is unknown", () => {
    expect(judge(acquire(1, 0, 2))).toEqual(["unknown"]);
  });
});
