import type { Validity, Verdict } from "knossos-ts";
import type { Injection } from "../harness/fault.ts";
import type { LatencyRow, MetricsLine, Run } from "../harness/run.ts";

/** How each verdict is said, everywhere the same. */
export function verdictWord(valid: Validity): "held" | "VIOLATED" | "unknown" {
  if (valid === true) return "held";
  return valid === false ? "VIOLATED" : "unknown";
}

/** Text for HTML and XML, in content and in quoted attributes. */
export function escapeMarkup(text: string): string {
  return (
    text
      // XML 1.0 forbids most control characters, even escaped.
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;")
      .replaceAll("'", "&#39;")
  );
}

/** Microseconds as people read them: `840 us`, `12.3 ms`, `2.10 s`. */
export function microseconds(us: number): string {
  if (us < 1_000) return `${Math.round(us)} us`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** Nanoseconds since the run's start as seconds: `12.345 s`. */
export function seconds(ns: number): string {
  return `${(ns / 1e9).toFixed(3)} s`;
}

export function evidenceCounts(injections: readonly Injection[]): Record<Injection["evidence"]["result"], number> {
  const counts = { confirmed: 0, mismatch: 0, inconclusive: 0 };
  for (const { evidence } of injections) counts[evidence.result]++;
  return counts;
}

/** By suite, what went well first. */
export function latencyRows(run: Run): readonly LatencyRow[] {
  const rows = run.metrics.flatMap((line) => (line.type === "latency" ? line.rows : []));
  const outcomes = ["ok", "fail", "info"];
  return rows.sort(
    (a, b) =>
      a.suite.localeCompare(b.suite) ||
      outcomes.indexOf(a.outcome) - outcomes.indexOf(b.outcome) ||
      a.kind.localeCompare(b.kind),
  );
}

export function slices(run: Run): readonly Extract<MetricsLine, { type: "slice" }>[] {
  return run.metrics.filter((line) => line.type === "slice");
}

export function availability(run: Run): Extract<MetricsLine, { type: "availability" }> | undefined {
  return run.metrics.findLast((line) => line.type === "availability");
}

/** One verdict, and every suite it counts for. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly suites: readonly string[];
  /** Of the first of these suites. */
  readonly guarantee: string;
}

/** A checker of the whole history judges once and counts for each suite: it is shown once, naming them all. */
export function judgements(run: Run): readonly Judgement[] {
  const seen = new Map<string, { verdict: Verdict; suites: string[]; guarantee: string }>();
  for (const { suite, guarantee, verdicts } of run.verdict?.suites ?? []) {
    for (const verdict of verdicts) {
      const same = JSON.stringify(verdict);
      const known = seen.get(same);
      if (known === undefined) seen.set(same, { verdict, suites: [suite], guarantee });
      else known.suites.push(suite);
    }
  }
  return [...seen.values()];
}
