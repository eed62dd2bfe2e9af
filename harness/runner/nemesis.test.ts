import { expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import type { Fault, Injection, ProbeReading } from "../fault.ts";
import { Recorder } from "../recorder.ts";
import { fakeFault, FakeTarget, type FaultLog } from "./fakes.ts";
import { runNemesis, type UndoJournal } from "./nemesis.ts";

const WINDOW_MS = 20;
const no: ProbeReading = { holds: false, text: "nothing to be seen" };

/** Follows a schedule with one injection of each fault and returns what was reported, journalled and recorded. */
async function follow(log: FaultLog, faults: readonly Fault[], signal = new AbortController().signal) {
  const injections: Injection[] = [];
  const lines: string[] = [];
  const journal: UndoJournal = {
    record: async (entry) => log.calls.push(`journal ${JSON.stringify(entry.undo)}`),
    done: async () => void log.calls.push("journal done"),
  };
  await runNemesis({
    faults,
    schedule: faults.map((fault, id) => ({ id, fault: fault.name, plan: "leader", atMs: 0, forMs: WINDOW_MS })),
    target: new FakeTarget(),
    clock: systemClock,
    recorder: new Recorder({ write: (text) => void lines.push(text) }, systemClock),
    journal,
    signal,
    onInjection: (injection) => injections.push(injection),
    settle: async () => {},
  });
  return { injections, kinds: lines.map((line) => (JSON.parse(line) as { type: string }).type) };
}

test("a fault's life: resolved at injection, journalled before it, probed three times, healed", async () => {
  const log: FaultLog = { calls: [] };
  const { injections, kinds } = await follow(log, [fakeFault("kill", log)]);
  expect(log.calls).toEqual([
    "probe before",
    'journal {"restart":"n1"}',
    "inject kill",
    "probe during",
    "heal kill",
    "journal done",
    "probe healed",
  ]);
  expect(injections[0]).toMatchObject({
    fault: "kill",
    on: ["n1"],
    plan: "leader",
    resolved: "n1",
    evidence: { result: "confirmed" },
  });
  expect(injections[0]?.healedAt).toBeGreaterThanOrEqual((injections[0]?.injectedAt ?? 0) + WINDOW_MS * 1e6);
  expect(kinds).toEqual(["fault", "heal"]);
});

test("a fault that does not show is a mismatch", async () => {
  const log: FaultLog = { calls: [] };
  const unseen = fakeFault("kill", log, {
    probe: async (_c, _r, phase) => (phase === "during" ? no : { holds: true, text: "" }),
  });
  const { injections } = await follow(log, [unseen]);
  expect(injections[0]?.evidence).toMatchObject({ result: "mismatch", during: no });
});

test("a cluster that was not healthy before proves nothing", async () => {
  const log: FaultLog = { calls: [] };
  const sick = fakeFault("kill", log, {
    probe: async (_c, _r, phase) => (phase === "before" ? no : { holds: true, text: "" }),
  });
  expect((await follow(log, [sick])).injections[0]?.evidence.result).toBe("inconclusive");
});

test("a fault whose injection throws is healed all the same, and the next one has its turn", async () => {
  const log: FaultLog = { calls: [] };
  const broken = fakeFault("cut", log, { inject: () => Promise.reject(new Error("no such proxy")) });
  const { injections, kinds } = await follow(log, [broken, fakeFault("kill", log)]);
  expect(log.calls).toContain("heal cut");
  expect(injections[0]).toMatchObject({ error: "inject: no such proxy", evidence: { result: "inconclusive" } });
  expect(injections[1]?.evidence.result).toBe("confirmed");
  expect(kinds.slice(0, 4)).toEqual(["fault", "heal", "fault", "heal"]);
});

test("an undo that fails stays in the journal", async () => {
  const log: FaultLog = { calls: [] };
  const stuck = fakeFault("pause", log, { heal: () => Promise.reject(new Error("not permitted")) });
  const { injections } = await follow(log, [stuck]);
  expect(log.calls).not.toContain("journal done");
  expect(injections[0]?.error).toBe("heal: not permitted");
});

test("a kind that stayed inconclusive is tried once more, with an id of its own", async () => {
  const log: FaultLog = { calls: [] };
  let probes = 0;
  const shy = fakeFault("kill", log, {
    probe: async (_c, _r, phase) => ({ holds: phase === "during" && ++probes === 1 ? "inconclusive" : true, text: "" }),
  });
  const { injections } = await follow(log, [shy, fakeFault("pause", log)]);
  expect(injections.map((one) => [one.id, one.fault, one.evidence.result])).toEqual([
    [0, "kill", "inconclusive"],
    [1, "pause", "confirmed"],
    [2, "kill", "confirmed"],
  ]);
});

test("a fault that cannot be journalled is not injected", async () => {
  const log: FaultLog = { calls: [] };
  const undescribed = fakeFault("kill", log, {
    undo: () => {
      throw new Error("no pid");
    },
  });
  const { injections, kinds } = await follow(log, [undescribed]);
  expect(log.calls).not.toContain("inject kill");
  expect(injections[0]?.evidence.result).toBe("inconclusive");
  expect(kinds).toEqual([]);
});

test("when the run stops the fault under way is healed and the rest is left", async () => {
  const log: FaultLog = { calls: [] };
  const stop = new AbortController();
  const first = fakeFault("kill", log, {
    inject: async () => {
      log.calls.push("inject kill");
      stop.abort();
    },
  });
  const { injections } = await follow(log, [first, fakeFault("pause", log)], stop.signal);
  expect(log.calls).toContain("heal kill");
  expect(log.calls).not.toContain("inject pause");
  expect(injections).toHaveLength(1);
});

test("a probe that throws has measured nothing", async () => {
  const log: FaultLog = { calls: [] };
  const blind = fakeFault("kill", log, {
    probe: (_c, _r, phase) =>
      phase === "during" ? Promise.reject(new Error("refused")) : Promise.resolve({ holds: true, text: "" }),
  });
  const [injection] = (await follow(log, [blind])).injections;
  expect(injection?.evidence.during).toEqual({ holds: "inconclusive", text: "the probe failed: refused" });
  expect(injection?.evidence.result).toBe("inconclusive");
});
