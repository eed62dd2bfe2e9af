import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Validity } from "knossos-ts";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { createRunDirectory, readRun } from "../run-directory.ts";
import type { RunInfo } from "../run.ts";
import type { Suite } from "../suite.ts";
import { fakeClient, fakeFault, FakeTarget } from "./fakes.ts";
import { silent } from "./progress.ts";
import { runTrial, suiteVerdict, type TrialParts } from "./trial.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "seatrial-trial-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const suite: Suite = {
  name: "etcd/fake",
  summary: "",
  guarantee: "g",
  needs: [],
  clients: 2,
  planted: [],
  async work(context) {
    await using session = context.session("n1");
    while (!context.signal.aborted) await session.invoke({ f: "put", key: "k", value: "v" }, await context.pace());
  },
  async finish(context) {
    await using session = context.session("n1");
    await session.invoke({ f: "range", key: "k" });
  },
  check: () => [],
};

function partsOf(overrides: Partial<TrialParts> & { readonly valid?: Validity } = {}) {
  const directory = createRunDirectory(folder, "run", { pid: 1, started: "" });
  const log = { calls: [] as string[] };
  const target = new FakeTarget();
  const stop = new AbortController();
  const parts: TrialParts = {
    target,
    suites: [suite],
    faults: [],
    schedule: [],
    seed: 1,
    durationMs: 100,
    clock: systemClock,
    directory,
    journal: { record: async () => 0, done: async () => {} },
    connect: () => fakeClient(async () => ({ type: "ok", output: { f: "put", revision: 1 } })),
    judge: async (suites) =>
      suites.map((one) =>
        suiteVerdict(one, [{ valid: overrides.valid ?? true, checker: "c", findings: [], stats: {} }]),
      ),
    progress: silent,
    stop: stop.signal,
    info: { id: "run" } as unknown as RunInfo,
    timestamp: () => "now",
    ...overrides,
  };
  return { parts, log, target, stop, directory };
}

const events = () =>
  readFileSync(join(folder, "run", "history.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; input?: { f: string } });

test("a run without faults: load, recovery writes, last reads, verdict, target gone", async () => {
  const { parts, target } = partsOf();
  const verdict = await runTrial(parts);
  expect(verdict).toMatchObject({ valid: true, exitCode: 0, summary: "All held: etcd/fake, without faults." });
  expect(target.disposed).toBe(true);
  expect(events()[0]?.type).toBe("start");
  expect(
    events()
      .filter((event) => event.type === "invoke")
      .at(-1)?.input?.f,
  ).toBe("range");
  expect(readRun(join(folder, "run"))).toMatchObject({
    info: { versions: { fake: "1" }, finishedAt: "now" },
    verdict: { exitCode: 0 },
  });
});

const withFault = (overrides: Parameters<typeof fakeFault>[2] = {}) => {
  const log = { calls: [] as string[] };
  const fault = fakeFault("kill", log, overrides);
  return { log, extra: { faults: [fault], schedule: [{ id: 0, fault: "kill", plan: "leader", atMs: 10, forMs: 20 }] } };
};

test("a confirmed fault makes a conclusive cell; one that never shows ends in 3", async () => {
  const seen = await runTrial(partsOf(withFault().extra).parts);
  expect(seen.exitCode).toBe(0);
  expect(seen.cells).toMatchObject([{ suite: "etcd/fake", fault: "kill", confirmed: 1, conclusive: true }]);
  const unseen = withFault({ probe: async (_c, _r, phase) => ({ holds: phase !== "during", text: "" }) });
  const verdict = await runTrial(partsOf(unseen.extra).parts);
  expect(verdict).toMatchObject({ valid: true, exitCode: 3 });
  expect(verdict.summary).toBe("Not settled: no guarantee was refuted, but these faults were not confirmed: kill.");
});

test("prepare is asked before the start", async () => {
  const { extra } = withFault({ prepare: (spec) => ({ ...spec, links: true }) });
  const { parts, target } = partsOf(extra);
  let links = false;
  target.start = async (...spec: unknown[]) => void (links = (spec[0] as { links: boolean }).links);
  await runTrial(parts);
  expect(links).toBe(true);
});

test("Ctrl-C heals, judges what there is, and the exit code is the verdict's", async () => {
  const { log, extra } = withFault();
  const { parts, stop, target } = partsOf({
    ...extra,
    schedule: [{ id: 0, fault: "kill", plan: "leader", atMs: 0, forMs: 60_000 }],
    durationMs: 60_000,
  });
  const running = runTrial(parts);
  while (!log.calls.includes("probe during")) await systemClock.sleep(5);
  stop.abort(new Error("SIGINT"));
  const verdict = await running;
  expect(log.calls).toContain("heal kill");
  expect(verdict).toMatchObject({ exitCode: 0, interrupted: expect.stringContaining("interrupted") });
  expect(target.disposed).toBe(true);
});

test("a full disk ends the load with 2, unless a violation is proven", async () => {
  for (const [valid, exitCode] of [
    [true, 2],
    [false, 1],
  ] as const) {
    rmSync(join(folder, "run"), { recursive: true, force: true });
    const { parts, target, directory } = partsOf({ valid, durationMs: 60_000 });
    symlinkSync("/dev/full", join(directory.path, "history.jsonl"));
    expect(await runTrial(parts)).toMatchObject({ exitCode });
    expect(target.disposed).toBe(true);
  }
});

test("a verdict that cannot be written is told all the same", async () => {
  const { parts, directory } = partsOf();
  symlinkSync("/dev/full", join(directory.path, "verdict.json"));
  expect(await runTrial(parts)).toMatchObject({ valid: true, exitCode: 2 });
});

test("a worker that breaks down is a reason not to say that all held", async () => {
  const broken: Suite = { ...suite, work: () => Promise.reject(new Error("a bug of ours")) };
  const verdict = await runTrial(partsOf({ suites: [broken], durationMs: 60_000 }).parts);
  expect(verdict).toMatchObject({
    valid: "unknown",
    exitCode: 3,
    summary: "Not settled: a client of the load broke down: a bug of ours.",
  });
});

test("a target that does not start is told as it said it, and is disposed of", async () => {
  const { parts, target } = partsOf();
  target.start = () => Promise.reject(new Error("no etcd on PATH"));
  await expect(runTrial(parts)).rejects.toThrow("no etcd on PATH");
  expect(target.disposed).toBe(true);
  expect(existsSync(join(folder, "run", "verdict.json"))).toBe(false);
});
