import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";
import type { LatencyRow, MetricsLine } from "../run.ts";
import { longestGapNs, SuccessTimes } from "./availability.ts";

export type SampleOutcome = "ok" | "fail" | "info";

/** One finished operation. Times are nanoseconds since the run's start. */
export interface LatencySample {
  readonly suite: string;
  readonly kind: string;
  readonly outcome: SampleOutcome;
  /** When it should have begun; in closed-loop mode, when it did. */
  readonly intendedNs: number;
  readonly returnedNs: number;
}

/** A fault's time in force, as `faults.jsonl` has it. */
export interface FaultWindow {
  readonly id: number;
  readonly fault: string;
  readonly injectedAt: number;
  readonly healedAt: number;
}

export interface LatencyBook {
  record(sample: LatencySample): void;
  /** The line for what was recorded since the last slice; percentiles are those of the operations that succeeded. */
  slice(nowNs: number): MetricsLine;
  /** The lines for the whole run: latency, and availability while the load ran. */
  finish(
    faults: readonly FaultWindow[],
    loadNs: { readonly begin: number; readonly end: number },
  ): readonly MetricsLine[];
}

/** Three digits, from a microsecond to an hour; what took longer counts as an hour. */
const LONGEST_US = 3_600_000_000;

/** Keeps the figures of one run. `beginNs` is where the first slice begins. */
export function createLatencyBook(options: { readonly beginNs?: number } = {}): LatencyBook {
  const whole = new Map<string, Recorded>();
  const successes = new SuccessTimes();
  let second = new Map<string, SliceRow>();
  let sliceFrom = options.beginNs;
  return {
    record({ suite, kind, outcome, intendedNs, returnedNs }) {
      sliceFrom ??= intendedNs;
      const us = Math.min(LONGEST_US, Math.max(0, Math.round((returnedNs - intendedNs) / 1_000)));
      const key = JSON.stringify([suite, kind, outcome]);
      let row = whole.get(key);
      if (row === undefined) whole.set(key, (row = { suite, kind, outcome, histogram: newHistogram() }));
      row.histogram.recordValue(us);
      const sliceKey = JSON.stringify([suite, kind]);
      let slice = second.get(sliceKey);
      if (slice === undefined)
        second.set(sliceKey, (slice = { suite, kind, ok: 0, fail: 0, info: 0, histogram: newHistogram() }));
      slice[outcome] += 1;
      if (outcome === "ok") slice.histogram.recordValue(us);
      if (outcome === "ok" && needsMajority(kind)) successes.add(returnedNs);
    },
    slice(nowNs) {
      const time = Math.min(sliceFrom ?? nowNs, nowNs);
      const rows = [...second.values()].map(({ histogram, ...counts }) => {
        const { p50, p99, max } = percentiles(histogram);
        return { ...counts, p50, p99, max };
      });
      second = new Map();
      sliceFrom = nowNs;
      return { type: "slice", time, widthNs: nowNs - time, rows };
    },
    finish(faults, { begin, end }) {
      const times = successes.sorted();
      return [
        { type: "latency", rows: [...whole.values()].map((row) => latencyRow(row)) },
        {
          type: "availability",
          longestGapNs: longestGapNs(times, begin, end),
          perFault: faults.map(({ id, fault, injectedAt, healedAt }) => ({
            id,
            fault,
            longestGapNs: longestGapNs(times, injectedAt, healedAt),
          })),
        },
      ];
    },
  };
}

interface SliceRow {
  readonly suite: string;
  readonly kind: string;
  ok: number;
  fail: number;
  info: number;
  readonly histogram: Histogram;
}

/** Joins rows of several runs or machines, by suite, kind and outcome, through their histograms. */
export function mergeLatencyRows(rows: readonly LatencyRow[]): readonly LatencyRow[] {
  const merged = new Map<string, Merged>();
  for (const { suite, kind, outcome, max, histogram } of rows) {
    const key = JSON.stringify([suite, kind, outcome]);
    let into = merged.get(key);
    // A fresh one grows to what is added; one that was decoded does not.
    if (into === undefined) merged.set(key, (into = { suite, kind, outcome, max, histogram: newHistogram() }));
    // The rows know their largest value exactly, the histogram to three digits.
    into.max = Math.max(into.max, max);
    into.histogram.add(decodeFromCompressedBase64(histogram, 32));
  }
  return [...merged.values()].map((row) => latencyRow(row, row.max));
}

interface Recorded {
  readonly suite: string;
  readonly kind: string;
  readonly outcome: SampleOutcome;
  readonly histogram: Histogram;
}

interface Merged extends Recorded {
  max: number;
}

/**
 * What a member can answer alone says nothing of the cluster: a serializable read succeeds in a minority, a lease's time and keepalive are
 * the leader's own clock.
 */
function needsMajority(kind: string): boolean {
  return kind !== "range-serializable" && kind !== "lease-time-to-live" && kind !== "lease-keepalive";
}

function newHistogram(): Histogram {
  return build({
    bitBucketSize: 32,
    autoResize: true,
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
}

/** A histogram tells the upper end of a value's slot, which may lie above the largest value: no percentile is above that. */
function percentiles(histogram: Histogram, largest = histogram.maxValue) {
  if (histogram.totalCount === 0) return { p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
  const at = (percentile: number) => Math.min(histogram.getValueAtPercentile(percentile), largest);
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: largest };
}

function latencyRow({ suite, kind, outcome, histogram }: Recorded, largest?: number): LatencyRow {
  const count = histogram.totalCount;
  return {
    suite,
    kind,
    outcome,
    count,
    ...percentiles(histogram, largest),
    histogram: encodeIntoCompressedBase64(histogram),
  };
}
