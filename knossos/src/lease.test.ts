import { describe, expect, test } from "vitest";
import { foldHistory } from "./fold.ts";
import type { HistoryEvent } from "./history.ts";
import { checkLease } from "./lease.ts";
import type { EtcdInput, EtcdOutput } from "./models/etcd-types.ts";

const S = 1e9;
let next = 0;

function done(from: number, input: EtcdInput, output: EtcdOutput, to = from + 0.01): readonly HistoryEvent[] {
  const op = next++;
  return [
    { type: "invoke", op, process: op, time: from * S, input: input as never },
    { type: "ok", op, process: op, time: to * S, output: output as never },
  ];
}

const grant = (at: number) =>
  done(at, { f: "lease-grant", id: "7", ttlSeconds: 5 }, { f: "lease-grant", revision: 1, id: "7", ttlSeconds: 5 });
const put = (at: number, revision = 2) =>
  done(at, { f: "put", key: "a", value: "1", lease: "7" }, { f: "put", revision });
const keepAlive = (at: number) =>
  done(at, { f: "lease-keepalive", id: "7" }, { f: "lease-keepalive", revision: 2, ttlSeconds: 5 });
const left = (at: number, ttlSeconds: number) =>
  done(
    at,
    { f: "lease-time-to-live", id: "7" },
    { f: "lease-time-to-live", revision: 2, ttlSeconds, grantedSeconds: 5 },
  );
const read = (at: number, there: boolean, revision = there ? 2 : 3) =>
  done(
    at,
    { f: "range", key: "a" },
    {
      f: "range",
      revision,
      kvs: there ? [{ key: "a", value: "1", createRevision: 2, modRevision: 2, version: 1, lease: "7" }] : [],
      count: there ? 1 : 0,
      more: false,
    },
  );
const fault = (type: "fault" | "heal", at: number): HistoryEvent => ({
  type,
  time: at * S,
  fault: "kill",
  on: ["n1"],
  id: 1,
});

function judge(lines: readonly (readonly HistoryEvent[])[], upWindows?: readonly (readonly [number, number])[]) {
  const history = foldHistory([{ type: "start", format: 1, model: "etcd", foreignWriters: false }, ...lines.flat()]);
  const verdict = checkLease(history, { electionTimeoutMs: 1000, ...(upWindows === undefined ? {} : { upWindows }) });
  return [verdict.valid, ...verdict.findings.map((finding) => finding.kind)];
}

// TTL 5 s, election timeout 1 s: alive for 5 s after the call, gone within 5 + 2 + 2 s.
describe("a lease", () => {
  test("lives its TTL and is gone after", () => {
    expect(judge([grant(0), put(1), read(4, true), read(6, false)])).toEqual([true]);
  });
  test("must not be gone before its TTL", () => {
    expect(judge([grant(0), put(1), read(3, false)])).toEqual([false, "lease-expired-early"]);
    expect(judge([grant(0), left(3, -1)])).toEqual([false, "lease-expired-early"]);
  });
  test("lives on from the call of its last keepalive", () => {
    expect(judge([grant(0), put(1), keepAlive(4), read(8, false)])).toEqual([false, "lease-expired-early"]);
    expect(judge([grant(0), put(1), keepAlive(4), read(10, false)])).toEqual([true]);
  });
  test("must not outlive TTL + 2 election timeouts + 2 s", () => {
    expect(judge([grant(0), put(1), read(8, true)])).toEqual([true]);
    expect(judge([grant(0), put(1), read(10, true)])).toEqual([false, "lease-outlived"]);
    expect(judge([grant(0), left(10, 1)])).toEqual([false, "lease-outlived"]);
    expect(judge([grant(0), put(10)])).toEqual([false, "lease-outlived"]);
  });
  test("gets its time anew with a heal or a leader change, and is not judged during a fault", () => {
    expect(judge([grant(0), put(1), [fault("fault", 2)], read(30, true)])).toEqual([true]);
    expect(judge([grant(0), put(1), [fault("fault", 2), fault("heal", 20)], read(28, true)])).toEqual([true]);
    expect(judge([grant(0), put(1), [fault("fault", 2), fault("heal", 20)], read(30, true)])).toEqual([
      false,
      "lease-outlived",
    ]);
    expect(judge([grant(0), put(1), [{ type: "env", time: 8 * S, what: "leader-change" }], read(16, true)])).toEqual([
      true,
    ]);
  });
  test("is judged in the windows in which a majority was up, where they are given", () => {
    const lines = [grant(0), put(1), [fault("fault", 2)], read(30, true)];
    expect(judge(lines, [[0, 60 * S]])).toEqual([false, "lease-outlived"]);
    expect(judge(lines, [[0, 5 * S]])).toEqual([true]);
    expect(
      judge(lines, [
        [0, 5 * S],
        [25 * S, 60 * S],
      ]),
    ).toEqual([true]);
  });
  test("that a client may have revoked, or a keepalive in doubt may have renewed, is not judged", () => {
    expect(
      judge([
        grant(0),
        put(1),
        [{ type: "invoke", op: 900, process: 900, time: 2 * S, input: { f: "lease-revoke", id: "7" } }],
        read(3, false),
      ]),
    ).toEqual([true]);
    expect(
      judge([
        grant(0),
        put(1),
        [{ type: "invoke", op: 901, process: 901, time: 2 * S, input: { f: "lease-keepalive", id: "7" } }],
        read(30, true),
      ]),
    ).toEqual(["unknown"]);
  });
  test("is not blamed for a key that a client may have deleted", () => {
    expect(
      judge([
        grant(0),
        put(1),
        [{ type: "invoke", op: 902, process: 902, time: 2 * S, input: { f: "delete", key: "a" } }],
        read(3, false),
      ]),
    ).toEqual([true]);
    expect(
      judge([
        grant(0),
        put(1),
        done(2, { f: "delete", key: "a" }, { f: "delete", revision: 3, deleted: 1 }),
        read(3, false),
      ]),
    ).toEqual([true]);
  });
  test("that nobody granted leaves nothing to judge; a wrong election timeout is refused", () => {
    expect(judge([])).toEqual(["unknown"]);
    expect(() =>
      checkLease(foldHistory([{ type: "start", format: 1, model: "etcd", foreignWriters: false }]), {
        electionTimeoutMs: 0,
      }),
    ).toThrow(/election timeout 0 ms; a positive number is needed/);
  });
});
