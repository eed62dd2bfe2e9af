import { Budget } from "../budget.ts";
import type { History } from "../history.ts";
import type { Model } from "../model.ts";
import type { Finding, Proof, Verdict } from "../verdict.ts";
import type { Call, Found, Part, Search } from "./calls.ts";
import { partsOf } from "./calls.ts";
import { DepthFirst } from "./depth-first.ts";
import { Frontier } from "./frontier.ts";

export interface LinearizabilityOptions {
  readonly timeLimitMs?: number;
  /** A monotonic clock in milliseconds; the platform's if absent. */
  readonly now?: () => number;
  /** One engine alone, for tests and comparisons; both taking turns if absent. */
  readonly engine?: "frontier" | "depth-first";
}

/** Steps of each engine in the first round; every round doubles them. */
const FIRST_ROUND = 4096;
/** Steps between two looks at the clock. */
const SLICE = 1024;

interface Race<S, I, O> {
  readonly part: Part<I, O>;
  searches: Search<S, I, O>[];
  /** All that were started, for their figures. */
  readonly started: readonly Search<S, I, O>[];
  found?: Found<I, O>;
  by?: Search<S, I, O>;
}

/**
 * Is there an order of the operations, in keeping with real time, that the model allows? Operations that failed did not happen;
 * those in doubt may take effect at any time after their call, or never. Objects are judged one by one where the model
 * has independent ones; the engines take turns on each, with growing effort, so that a quick answer anywhere is found quickly.
 */
export function checkLinearizable<S, I, O>(
  history: History,
  model: Model<S, I, O>,
  options: LinearizabilityOptions = {},
): Verdict {
  const budget = new Budget(options.timeLimitMs, options.now);
  const races: Race<S, I, O>[] = partsOf(history, model).map((part) => {
    const started = startSearches(part, model, history.initial, options.engine);
    return { part, started, searches: started };
  });
  const refuted = race(races, budget);
  const stats = {
    operations: history.operations.length,
    parts: races.length,
    steps: races.reduce((sum, one) => sum + one.started.reduce((steps, search) => steps + search.steps, 0), 0),
    milliseconds: budget.elapsedMs,
  };
  const checker = `linearizability/${model.name}`;
  if (refuted !== undefined) return { valid: false, checker, ...counterexample(refuted, model), stats };
  const open = races.filter((one) => one.found === undefined);
  if (open.length > 0) {
    const names = open
      .slice(0, 5)
      .map((one) => one.part.object ?? "the one object")
      .join(", ");
    return {
      valid: "unknown",
      checker,
      findings: [],
      why: `the time limit ran out with ${open.length} of ${races.length} objects undecided (${names})`,
      stats,
    };
  }
  if (history.operations.length === 0)
    return {
      valid: "unknown",
      checker,
      findings: [],
      why: "the history has no operations, so there is nothing to judge",
      stats,
    };
  return {
    valid: true,
    checker,
    findings: [],
    proof: {
      kind: "linearization",
      order: mergeOrders(races.map((one) => (one.found as { order: readonly Call<I, O>[] }).order)),
    },
    stats,
  };
}

function startSearches<S, I, O>(
  part: Part<I, O>,
  model: Model<S, I, O>,
  initial: unknown,
  engine: LinearizabilityOptions["engine"],
): Search<S, I, O>[] {
  const searches: Search<S, I, O>[] = [];
  if (engine !== "depth-first") searches.push(new Frontier(model, initial, part.calls));
  if (engine !== "frontier") searches.push(new DepthFirst(model, initial, part.calls));
  return searches;
}

/** Raises the effort round-robin over parts and engines until all are decided, one is refuted, or time is up. */
function race<S, I, O>(races: readonly Race<S, I, O>[], budget: Budget): Race<S, I, O> | undefined {
  let open = [...races];
  for (let effort = FIRST_ROUND; open.length > 0; effort *= 2) {
    for (const one of open) {
      for (const search of one.searches) {
        const outcome = advance(search, effort, budget);
        if (outcome === "late") return undefined;
        if (outcome === undefined) continue;
        one.found = outcome;
        one.by = search;
        if (!outcome.valid) return one;
        one.searches = [];
        break;
      }
      const live = one.searches.filter((search) => !search.exhausted);
      if (live.length > 0 || one.found !== undefined) one.searches = live;
      else return undefined;
    }
    open = open.filter((one) => one.found === undefined);
  }
  return undefined;
}

function advance<S, I, O>(search: Search<S, I, O>, effort: number, budget: Budget): Found<I, O> | "late" | undefined {
  for (let spent = 0; spent < effort && !search.exhausted; spent += SLICE) {
    if (budget.spent) return "late";
    const found = search.advance(SLICE);
    if (found !== undefined) return found;
  }
  return undefined;
}

function counterexample<S, I, O>(
  refuted: Race<S, I, O>,
  model: Model<S, I, O>,
): { readonly findings: readonly Finding[]; readonly proof: Proof } {
  const { prefix, state, next } = (refuted.by as Search<S, I, O>).stuck();
  const described = model.describeState(state);
  const stuck = next.map((call) => ({
    operation: call.op,
    reason: `${model.describe(call.input, call.output)} ${model.step(state, call.input, call.output).length > 0 ? `is possible in ${described}, but leads nowhere` : `is impossible in ${described}`}`,
  }));
  const where = refuted.part.object === undefined ? "" : ` of ${refuted.part.object}`;
  const what =
    stuck[0] === undefined
      ? ""
      : `; next, ${stuck
          .map((one) => `operation ${one.operation}: ${one.reason}`)
          .slice(0, 3)
          .join("; ")}`;
  return {
    findings: [
      {
        kind: "nonlinearizable",
        message: `no order explains the operations${where}: the longest one found takes ${prefix.length} of them to ${described}${what}`,
        operations: stuck.map((one) => one.operation),
      },
    ],
    proof: { kind: "counterexample", prefix: prefix.map((call) => call.op), state: described, stuck },
  };
}

/**
 * One order out of those of independent objects. Each call gets the earliest moment that its object's order allows; that moment lies
 * between its call and its return, so sorting all calls by it keeps real time (Herlihy & Wing 1990, locality).
 */
function mergeOrders<I, O>(orders: readonly (readonly Call<I, O>[])[]): number[] {
  const moments: { readonly op: number; readonly at: number }[] = [];
  for (const order of orders) {
    let at = Number.NEGATIVE_INFINITY;
    for (const call of order) {
      at = Math.max(at, call.invoked);
      moments.push({ op: call.op, at });
    }
  }
  return moments.sort((a, b) => a.at - b.at).map((moment) => moment.op);
}
