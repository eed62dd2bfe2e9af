import type { History, Operation } from "../history.ts";
import type { Json } from "../json.ts";
import type { Model } from "../model.ts";
import type { Rng } from "./random.ts";

/** An input at random, and the answer that a true object in this state gives. */
export interface Subject<S, I, O> {
  readonly model: Model<S, I, O>;
  readonly initial?: Json;
  input(rng: Rng): I;
  answer(state: S, input: I): { readonly next: S; readonly output: O };
  /** Any answer at all. */
  lie(rng: Rng, input: I): O;
}

/**
 * A small concurrent history: operations take effect at one moment within their interval, those in doubt at any later one or never; then,
 * perhaps, an answer is replaced by another.
 */
export function smallRun<S, I, O>(subject: Subject<S, I, O>, rng: Rng): History<I, O> {
  const count = 2 + rng.int(6);
  const planned = Array.from({ length: count }, (_, op) => {
    const invoked = rng.int(20);
    const length = rng.int(12);
    const roll = rng.next();
    const outcome: Operation["outcome"] = roll < 0.65 ? "ok" : roll < 0.92 ? "info" : "fail";
    const effect = invoked + rng.next() * (outcome === "info" ? 30 : length);
    return {
      op,
      invoked,
      returned: invoked + length,
      outcome,
      effect,
      happens: outcome === "ok" || (outcome === "info" && rng.chance(0.7)),
      input: subject.input(rng),
    };
  });
  let state = subject.model.init(subject.initial);
  const outputs = new Map<number, O>();
  for (const one of [...planned].sort((a, b) => a.effect - b.effect)) {
    if (!one.happens) continue;
    const { next, output } = subject.answer(state, one.input);
    state = next;
    outputs.set(one.op, output);
  }
  const answered = planned.filter((one) => one.outcome === "ok");
  if (answered.length > 0 && rng.chance(0.7)) {
    const victim = rng.pick(answered);
    outputs.set(victim.op, subject.lie(rng, victim.input));
  }
  const operations = planned.map(({ op, invoked, returned, outcome, input }): Operation<I, O> => {
    const base = { op, process: op, invoked, input, outcome };
    if (outcome === "info") return base;
    return outcome === "ok" ? { ...base, returned, output: outputs.get(op) as O } : { ...base, returned };
  });
  operations.sort((a, b) => a.invoked - b.invoked);
  return {
    model: subject.model.name,
    ...(subject.initial === undefined ? {} : { initial: subject.initial }),
    foreignWriters: false,
    operations,
    streams: [],
    environment: [],
    faults: [],
  };
}
