import type { History, Json, Operation } from "knossos-ts";
import type { Run } from "../../harness/run.ts";
import { escapeMarkup } from "../words.ts";
import { drawTimeline } from "./timeline-browser.ts";

/** More operations than this make a page slow to load; which are left out is said on the page. */
const MOST_OPERATIONS = 20_000;
/** Around a counterexample, this much time on each side is shown before anything else. */
const AROUND_NS = 3e9;

/** Column by column, so that 20,000 operations stay a small page. Times are microseconds since the run's start; -1 = never returned. */
export interface TimelineData {
  readonly lanes: readonly string[];
  readonly kinds: readonly string[];
  readonly op: readonly number[];
  readonly lane: readonly number[];
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly kind: readonly number[];
  /** 0 ok, 1 fail, 2 in doubt. */
  readonly outcome: readonly number[];
  readonly text: readonly string[];
  readonly marked: readonly number[];
  readonly faults: readonly {
    readonly name: string;
    readonly on: string;
    readonly from: number;
    readonly to: number;
  }[];
  /** Microseconds to show first. */
  readonly view: readonly [number, number];
}

/** A canvas with one lane a client, and the script that draws it; the operations of a counterexample are marked and in view. */
export function timeline(run: Run, history: History): string {
  const marked = new Set(
    run.verdict?.suites.flatMap(({ verdicts }) =>
      verdicts.filter(({ valid }) => valid === false).flatMap(markedOperations),
    ) ?? [],
  );
  const { data, shown, total } = timelineData(run, history, marked);
  if (total === 0) return "<p>No operation was recorded.</p>";
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const left =
    shown < total ? ` ${total - shown} of ${total} operations are not drawn here; all are in history.jsonl.` : "";
  return `<p class="hint">Wheel or + and - to zoom, drag or arrow keys to move, 0 for the whole run, hover for an operation. Solid: ok; hollow: failed; striped and open to the right: in doubt.${escapeMarkup(left)}</p>
<div id="timeline" class="timeline"><canvas tabindex="0" role="img" aria-label="Operations by client over time, ${shown} operations in ${data.lanes.length} lanes"></canvas><output aria-live="polite"></output></div>
<script type="application/json" id="timeline-data">${json}</script>
<script>(${drawTimeline.toString()})(window, document);</script>`;
}

function markedOperations(verdict: {
  readonly findings: readonly { readonly operations: readonly number[] }[];
  readonly proof?: { readonly kind: string; readonly stuck?: readonly { readonly operation: number }[] };
}): number[] {
  const stuck =
    verdict.proof?.kind === "counterexample" ? (verdict.proof.stuck ?? []).map(({ operation }) => operation) : [];
  return [...verdict.findings.flatMap(({ operations }) => operations), ...stuck];
}

export function timelineData(
  run: Run,
  history: History,
  marked: ReadonlySet<number>,
): { data: TimelineData; shown: number; total: number } {
  const window = windowOf(history, marked);
  const near = history.operations.filter(
    (operation) => operation.invoked >= window[0] && operation.invoked <= window[1],
  );
  const chosen = (history.operations.length <= MOST_OPERATIONS ? history.operations : near).slice(0, MOST_OPERATIONS);
  const lanes = laneOf(chosen);
  const kinds: string[] = [];
  const kindOf = (operation: Operation) => {
    const name = nameOf(operation.input);
    const known = kinds.indexOf(name);
    return known >= 0 ? known : kinds.push(name) - 1;
  };
  const us = (ns: number) => Math.round(ns / 1000);
  const data: TimelineData = {
    lanes: lanes.names,
    kinds,
    op: chosen.map(({ op }) => op),
    lane: chosen.map(({ process }) => lanes.of.get(process) ?? 0),
    from: chosen.map(({ invoked }) => us(invoked)),
    to: chosen.map(({ returned }) => (returned === undefined ? -1 : us(returned))),
    kind: chosen.map(kindOf),
    outcome: chosen.map(({ outcome }) => (outcome === "ok" ? 0 : outcome === "fail" ? 1 : 2)),
    text: chosen.map(describeOperation),
    marked: chosen.flatMap(({ op }, at) => (marked.has(op) ? [at] : [])),
    faults: run.injections.map(({ fault, on, injectedAt, healedAt }) => ({
      name: fault,
      on: on.join(", "),
      from: us(injectedAt),
      to: us(healedAt),
    })),
    view: [us(window[0]), us(window[1])],
  };
  return { data, shown: chosen.length, total: history.operations.length };
}

/** The time around what is marked, or the whole history. */
function windowOf(history: History, marked: ReadonlySet<number>): readonly [number, number] {
  let first = Infinity;
  let last = 0;
  for (const { op, invoked, returned } of history.operations) {
    if (marked.size > 0 && !marked.has(op)) continue;
    first = Math.min(first, invoked);
    last = Math.max(last, returned ?? invoked);
  }
  if (first === Infinity) return [0, 0];
  return marked.size > 0 ? [Math.max(0, first - AROUND_NS), last + AROUND_NS] : [Math.max(0, first), last];
}

/** A process retires when its operation ends in doubt; its successor goes on in the same lane, so a lane is a client. */
function laneOf(operations: readonly Operation[]): {
  readonly of: ReadonlyMap<number, number>;
  readonly names: string[];
} {
  const of = new Map<number, number>();
  const names: string[] = [];
  const free: number[] = [];
  for (const { process, outcome, node } of operations) {
    let lane = of.get(process);
    if (lane === undefined) {
      lane = free.shift() ?? names.push(`client ${names.length}${node === undefined ? "" : ` (first on ${node})`}`) - 1;
      of.set(process, lane);
    }
    if (outcome === "info") free.push(lane);
  }
  return { of, names };
}

function nameOf(input: Json): string {
  return typeof input === "object" && input !== null && "f" in input && typeof input["f"] === "string"
    ? input["f"]
    : "operation";
}

/** One line: what was asked, what was answered. */
export function describeOperation({ op, process, node, input, output, outcome, error }: Operation): string {
  const asked = compact(input);
  const answered =
    outcome === "ok" ? compact(output ?? null) : `${error?.code ?? outcome}: ${error?.message ?? "no answer"}`;
  return clip(
    `#${op} process ${process}${node === undefined ? "" : ` on ${node}`}: ${asked} -> ${outcome === "info" ? "in doubt, " : ""}${answered}`,
    400,
  );
}

function compact(value: Json): string {
  if (value === null || typeof value !== "object") return String(value);
  return clip(
    JSON.stringify(value)
      .replace(/"(\w+)":/g, "$1: ")
      .replace(/,(?=\w+: )/g, ", ")
      .replaceAll('","', '", "'),
    220,
  );
}

function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
