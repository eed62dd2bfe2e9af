import type { History, HistoryEvent, Operation, Validity } from "knossos-ts";
import type { Injection } from "../harness/fault.ts";
import type { MetricsLine, Run } from "../harness/run.ts";

/** A made-up run for the reporters' own tests: three clients, two faults, one stale read when `valid` is false. */
export function sampleRun(valid: Validity, operationCount = 600): { readonly run: Run; readonly history: History } {
  const history = sampleHistory(operationCount);
  const stale = history.operations.findLast(({ outcome }) => outcome === "ok")?.op ?? 0;
  const run: Run = {
    directory: "runs/sample",
    info: {
      format: 1,
      id: "sample",
      seed: 42,
      startedAt: "2026-01-02T03:04:05Z",
      finishedAt: "2026-01-02T03:04:55Z",
      seatrial: { version: "0.1.0", commit: "0123456" },
      command: "seatrial run etcd/kv --seed 42",
      replay: "seatrial run etcd/kv --seed 42",
      options: { suites: ["etcd/kv"], target: "reference", nodes: 3, durationMs: 30_000, faults: ["kill", "pause"] },
      versions: { n1: "3.6.14" },
      host: { platform: "linux", cpus: 2, memoryBytes: 2 ** 34, node: "24.0.0" },
      schedule: [],
      notTried: [{ what: "slow-fsync", reason: "the target has no <fault channel> & says so" }],
    },
    injections: [injection(1, "kill", 5e9, "confirmed"), injection(2, "pause", 15e9, "inconclusive")],
    metrics: metrics(),
    verdict: {
      valid,
      exitCode: valid === true ? 0 : valid === false ? 1 : 3,
      summary:
        valid === true
          ? "Every guarantee held."
          : valid === false
            ? "etcd/kv: a read was stale."
            : "Not decided within the budget.",
      suites: [
        {
          suite: "etcd/kv",
          guarantee: "Every operation takes effect at once between call and return.",
          valid,
          verdicts: [
            {
              valid,
              checker: "linearizability/etcd",
              findings:
                valid === false
                  ? [
                      {
                        kind: "stale-read",
                        message: `operation ${stale} read k1 <script>alert(1)</script> as it was before`,
                        operations: [stale],
                      },
                    ]
                  : [],
              ...(valid === false
                ? {
                    proof: {
                      kind: "counterexample",
                      prefix: [0, 1],
                      state: "k1 = v7 at revision 9",
                      stuck: [{ operation: stale, reason: "it read v6" }],
                    },
                  }
                : {}),
              ...(valid === "unknown" ? { why: "the time limit of 10 s was reached" } : {}),
              stats: { operations: operationCount, milliseconds: 12 },
            },
          ],
        },
      ],
      cells: [
        { suite: "etcd/kv", fault: "kill", confirmed: 1, mismatch: 0, inconclusive: 0, conclusive: true },
        { suite: "etcd/kv", fault: "pause", confirmed: 0, mismatch: 0, inconclusive: 1, conclusive: false },
      ],
    },
  };
  return { run, history };
}

function injection(id: number, fault: string, at: number, result: Injection["evidence"]["result"]): Injection {
  const reading = (text: string) => ({ holds: true, text });
  return {
    id,
    fault,
    envelope: "within",
    plan: "leader",
    resolved: "n1",
    on: ["n1"],
    plannedAt: at,
    injectedAt: at,
    healedAt: at + 4e9,
    evidence: {
      result,
      before: reading("n1 answers in 2 ms"),
      during: reading("n1 is gone"),
      healed: reading("n1 answers in 3 ms"),
    },
  };
}

function sampleHistory(count: number): History {
  const random = sequence(1);
  const clocks = [0, 0, 0];
  const process = [0, 1, 2];
  let nextProcess = 3;
  const operations: Operation[] = [];
  for (let op = 0; op < count; op++) {
    const client = op % 3;
    const invoked = (clocks[client] ?? 0) + 1e6 * (1 + random.below(90));
    const returned = invoked + 1e6 * (1 + random.below(60));
    clocks[client] = returned;
    const chance = random.below(100);
    const base = {
      op,
      process: process[client] ?? 0,
      node: `n${client + 1}`,
      invoked,
      input: { f: op % 2 === 0 ? "put" : "range", key: `k${op % 5}` },
    };
    if (chance < 2) {
      operations.push({
        ...base,
        outcome: "info",
        error: { code: "DEADLINE_EXCEEDED", message: "no answer in 2000 ms", definite: false },
      });
      process[client] = nextProcess++;
    } else if (chance < 6)
      operations.push({
        ...base,
        outcome: "fail",
        returned,
        error: { code: "UNAVAILABLE", message: "connection refused", definite: true },
      });
    else operations.push({ ...base, outcome: "ok", returned, output: { revision: op + 2 } });
  }
  const environment: Extract<HistoryEvent, { type: "env" }>[] = [];
  return { model: "etcd", foreignWriters: false, operations, streams: [], environment, faults: [] };
}

function metrics(): readonly MetricsLine[] {
  const random = sequence(2);
  const lines: MetricsLine[] = [];
  for (let second = 0; second < 30; second++) {
    lines.push({
      type: "slice",
      time: second * 1e9,
      widthNs: 1e9,
      rows: [
        {
          suite: "etcd/kv",
          kind: "put",
          ok: 400 + random.below(200),
          fail: random.below(9),
          info: random.below(4),
          p50: 900 + random.below(400),
          p99: 4_000 + random.below(9_000),
          max: 20_000 + random.below(300_000),
        },
      ],
    });
  }
  lines.push({
    type: "latency",
    rows: [
      {
        suite: "etcd/kv",
        kind: "put",
        outcome: "ok",
        count: 12_345,
        p50: 980,
        p90: 2_100,
        p99: 8_400,
        p999: 48_000,
        max: 1_204_000,
        histogram: "",
      },
    ],
  });
  lines.push({ type: "availability", longestGapNs: 1.7e9, perFault: [{ id: 1, fault: "kill", longestGapNs: 1.7e9 }] });
  return lines;
}

/** Any fixed sequence will do for a made-up run (a Lehmer generator). */
function sequence(seed: number): { below(bound: number): number } {
  let state = seed;
  return {
    below(bound) {
      state = (state * 48_271) % 2_147_483_647;
      return state % bound;
    },
  };
}
