import type { Fault, FaultContext, Injection, Phase, ProbeReading } from "../../harness/fault.ts";
import { seededRandom } from "../../seams/random.ts";
import { systemClock } from "../../seams/node/clock.ts";
import type { Target } from "../../harness/target.ts";
import { judge } from "../evidence.ts";

type Json = Parameters<Fault["heal"]>[0];

export interface Life {
  readonly result: Injection["evidence"]["result"];
  readonly resolved: Json;
  readonly undo: Json;
  readonly before: ProbeReading;
  readonly during: ProbeReading;
  readonly healed: ProbeReading;
}

/** One whole life of a fault, as the runner leads it: probes are repeated until the phase shows or its time is over. */
export async function live(
  fault: Fault,
  target: Target,
  options: {
    readonly seed: number;
    readonly duringMs: number;
    readonly healedMs: number;
    readonly whileInjected?: (resolved: Json) => Promise<void>;
  },
): Promise<Life> {
  const context: FaultContext = {
    target,
    clock: systemClock,
    signal: new AbortController().signal,
    ...(target.linksApi === undefined ? {} : { linksApi: target.linksApi }),
  };
  const plan = fault.plan(
    seededRandom(options.seed),
    target.nodes.map(({ name }) => name),
  );
  const resolved = fault.resolve(roundTrip(plan), await target.view());
  const undo = roundTrip(fault.undo(context, roundTrip(resolved)));
  const before = await fault.probe(context, resolved, "before");
  await fault.inject(context, resolved);
  const during = await probeFor(options.duringMs, fault, context, resolved, "during");
  await options.whileInjected?.(resolved);
  await fault.heal(undo, target);
  const healed = await probeFor(options.healedMs, fault, context, resolved, "healed");
  return { result: judge(before, during, healed), resolved, undo, before, during, healed };
}

/** What is journalled goes through JSON; nothing may be lost on the way. */
function roundTrip<T extends Json>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

async function probeFor(
  limitMs: number,
  fault: Fault,
  context: FaultContext,
  resolved: Json,
  phase: Phase,
): Promise<ProbeReading> {
  const end = systemClock.now() + limitMs;
  for (;;) {
    const reading = await fault.probe(context, resolved, phase);
    if (reading.holds === true || systemClock.now() >= end) return reading;
    await systemClock.sleep(50);
  }
}
