import type { Json } from "knossos-ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { Fault, FaultContext, Injection, Phase, ProbeReading, ScheduledFault } from "../fault.ts";
import type { Recorder } from "../recorder.ts";
import type { Target } from "../target.ts";

/** Between two probes of the same phase. */
const PROBE_PAUSE_MS = 250;
/** How long the healed phase is given to show itself: a restarted member loads its data and finds its leader. */
const HEALED_WITHIN_MS = 15_000;
/** How long one probe may take. */
const PROBE_LIMIT_MS = 5_000;

/** What heals the faults of a harness that was killed. `record` resolves once the entry is on the disk. */
export interface UndoJournal {
  record(entry: { readonly fault: string; readonly undo: Json }): Promise<number>;
  done(id: number): Promise<void>;
}

export interface NemesisParts {
  readonly faults: readonly Fault[];
  readonly schedule: readonly ScheduledFault[];
  readonly target: Target;
  readonly clock: Clock;
  readonly recorder: Pick<Recorder, "fault" | "heal" | "nowNs">;
  readonly journal: UndoJournal;
  /** Aborted when the run stops: the fault under way is healed and the rest of the schedule is left. */
  readonly signal: AbortSignal;
  readonly onInjection: (injection: Injection) => void;
  /** Waits, bounded, until the cluster is whole again, so that no fault meets the last one's damage. */
  readonly settle: (signal: AbortSignal) => Promise<unknown>;
  /** For the progress line: the fault under way, or none. */
  readonly onFault?: (fault: string | undefined) => void;
}

/**
 * Follows the schedule, one fault at a time; a kind that stayed inconclusive is tried once more at the end.
 * Never rejects because of a fault: what went wrong is in the injection's `error`.
 */
export async function runNemesis(parts: NemesisParts): Promise<void> {
  const begun = parts.clock.now();
  const results = new Map<string, Set<string>>();
  const inject = async (scheduled: ScheduledFault) => {
    const fault = parts.faults.find((one) => one.name === scheduled.fault);
    if (fault === undefined) return;
    await sleepUnlessAborted(parts.clock, begun + scheduled.atMs - parts.clock.now(), parts.signal);
    await parts.settle(parts.signal);
    if (parts.signal.aborted) return;
    parts.onFault?.(fault.name);
    const plannedAt = parts.recorder.nowNs() - Math.round((parts.clock.now() - begun - scheduled.atMs) * 1e6);
    const injection = await injectOnce(parts, fault, scheduled, plannedAt);
    results.set(fault.name, (results.get(fault.name) ?? new Set()).add(injection.evidence.result));
    parts.onInjection(injection);
    parts.onFault?.(undefined);
  };
  for (const scheduled of parts.schedule) await inject(scheduled);
  let id = parts.schedule.length;
  for (const [fault, seen] of results) {
    const last = parts.schedule.findLast((one) => one.fault === fault);
    if (last === undefined || seen.has("confirmed") || seen.has("mismatch")) continue;
    await inject({ ...last, id: id++, atMs: parts.clock.now() - begun });
  }
}

/** One life of a fault. Whatever happens after the journal has its undo, `heal` is called. */
async function injectOnce(
  parts: NemesisParts,
  fault: Fault,
  scheduled: ScheduledFault,
  plannedAt: number,
): Promise<Injection> {
  const { target, clock, recorder, journal, signal } = parts;
  const errors: string[] = [];
  const note = (what: string) => (error: unknown) => {
    errors.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  };
  // Healing and its probe go on after the run was told to stop, so faults get a signal of their own for them.
  const context: FaultContext = {
    target,
    clock,
    signal,
    ...(target.linksApi === undefined ? {} : { linksApi: target.linksApi }),
  };
  const lasting: FaultContext = { ...context, signal: new AbortController().signal };
  const unread: ProbeReading = { holds: "inconclusive", text: "not probed" };
  const readings = { before: unread, during: unread, healed: unread };
  const line = { resolved: null as Json, on: [] as readonly string[], injectedAt: plannedAt, healedAt: plannedAt };
  try {
    const resolved = fault.resolve(scheduled.plan, await target.view(signal));
    line.resolved = resolved;
    line.on = fault.on(resolved);
    const undo = fault.undo(context, resolved);
    readings.before = await probe(lasting, fault, resolved, "before");
    const entry = await journal.record({ fault: fault.name, undo });
    line.injectedAt = recorder.fault(scheduled.id, fault.name, line.on);
    const windowEnd = clock.now() + scheduled.forMs;
    try {
      await fault.inject(context, resolved);
      readings.during = await probeUntil(context, fault, resolved, "during", windowEnd, signal);
      if (readings.during.holds === false && signal.aborted)
        readings.during = { ...readings.during, holds: "inconclusive" };
      await sleepUnlessAborted(clock, windowEnd - clock.now(), signal);
    } catch (error) {
      note("inject")(error);
    }
    const healed = await fault.heal(undo, target).then(
      () => true,
      (error: unknown) => (note("heal")(error), false),
    );
    line.healedAt = recorder.heal(scheduled.id, fault.name, line.on);
    // An undo that failed stays in the journal: `seatrial clean` and the final heal try it again.
    if (healed) await journal.done(entry);
    readings.healed = await probeUntil(lasting, fault, resolved, "healed", clock.now() + HEALED_WITHIN_MS);
  } catch (error) {
    note("fault")(error);
  }
  return {
    id: scheduled.id,
    fault: fault.name,
    envelope: fault.envelope,
    plan: scheduled.plan,
    plannedAt,
    ...line,
    evidence: { result: resultOf(readings, errors), ...readings },
    ...(errors.length === 0 ? {} : { error: errors.join("; ") }),
  };
}

/**
 * confirmed: healthy before, faulty during, healthy after. mismatch: the fault did not show, or did not go away.
 * A cluster that was not healthy to begin with, or a life that was cut short, proves nothing either way.
 */
function resultOf(
  readings: Readonly<Record<Phase, ProbeReading>>,
  errors: readonly string[],
): Injection["evidence"]["result"] {
  const { before, during, healed } = readings;
  if (errors.length > 0 || before.holds !== true) return "inconclusive";
  if (during.holds === false || healed.holds === false) return "mismatch";
  return during.holds === true && healed.holds === true ? "confirmed" : "inconclusive";
}

/** Probes until the phase shows or its time is over; the last reading counts. */
async function probeUntil(
  context: FaultContext,
  fault: Fault,
  resolved: Json,
  phase: Phase,
  end: number,
  signal?: AbortSignal,
): Promise<ProbeReading> {
  for (;;) {
    const reading = await probe(context, fault, resolved, phase);
    const left = end - context.clock.now();
    if (reading.holds === true || left <= PROBE_PAUSE_MS || signal?.aborted === true) return reading;
    await sleepUnlessAborted(context.clock, PROBE_PAUSE_MS, signal);
  }
}

/** A probe that throws or does not come back has measured nothing. */
async function probe(context: FaultContext, fault: Fault, resolved: Json, phase: Phase): Promise<ProbeReading> {
  const limit = new AbortController();
  const late = context.clock.sleep(PROBE_LIMIT_MS, limit.signal).then(
    (): ProbeReading => ({ holds: "inconclusive", text: `the probe took more than ${PROBE_LIMIT_MS} ms` }),
    (): ProbeReading => ({ holds: "inconclusive", text: "the probe was cut off" }),
  );
  const measured = fault.probe(context, resolved, phase).catch((error: unknown): ProbeReading => ({
    holds: "inconclusive",
    text: `the probe failed: ${error instanceof Error ? error.message : String(error)}`,
  }));
  const reading = await Promise.race([measured, late]);
  limit.abort();
  return reading;
}

/** Sleeps; returns early, without an error, when the signal is aborted. */
export async function sleepUnlessAborted(clock: Clock, ms: DurationMs, signal: AbortSignal | undefined): Promise<void> {
  const aborted = () => signal?.aborted === true;
  if (ms <= 0 || aborted()) return;
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!aborted()) throw error;
  }
}
