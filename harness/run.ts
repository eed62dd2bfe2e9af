import type { Validity, Verdict } from "knossos-ts";
import type { Injection, ScheduledFault } from "./fault.ts";

/** run.json: what was run, on what, how to run it again. No secrets. */
export interface RunInfo {
  readonly format: 1;
  readonly id: string;
  readonly seed: number;
  readonly startedAt: string;
  readonly finishedAt?: string;
  readonly seatrial: { readonly version: string; readonly commit: string };
  readonly command: string;
  readonly replay: string;
  readonly options: {
    readonly suites: readonly string[];
    readonly target: string;
    readonly nodes: number;
    readonly durationMs: number;
    readonly faults: readonly string[];
    readonly ratePerSecond?: number;
    readonly endpoints?: readonly string[];
    readonly plant?: string;
  };
  readonly versions: Readonly<Record<string, string>>;
  readonly host: {
    readonly platform: string;
    readonly cpus: number;
    readonly memoryBytes: number;
    readonly node: string;
  };
  readonly schedule: readonly ScheduledFault[];
  /** What was not tried, and why: suites, faults. */
  readonly notTried: readonly { readonly what: string; readonly reason: string }[];
}

/** verdict.json. */
export interface RunVerdict {
  readonly valid: Validity;
  /** Exit code of the run by the design's table. */
  readonly exitCode: 0 | 1 | 2 | 3;
  /** One sentence. */
  readonly summary: string;
  readonly suites: readonly {
    readonly suite: string;
    readonly guarantee: string;
    readonly valid: Validity;
    readonly verdicts: readonly Verdict[];
  }[];
  /** suite x fault: tried how often, with what evidence. */
  readonly cells: readonly Cell[];
  readonly interrupted?: string;
  /** Simulation only: hash of everything that happened. The same seed gives the same. */
  readonly traceHash?: string;
}

export interface Cell {
  readonly suite: string;
  readonly fault: string;
  readonly confirmed: number;
  readonly mismatch: number;
  readonly inconclusive: number;
  readonly conclusive: boolean;
}

/** Latency of one kind of operation, in microseconds, measured from the intended start. `histogram` is HdrHistogram V2, base64: merge these, never percentiles. */
export interface LatencyRow {
  readonly suite: string;
  readonly kind: string;
  readonly outcome: "ok" | "fail" | "info";
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly histogram: string;
}

/** One line of metrics.jsonl: a slice of a second of the run. */
export type MetricsLine =
  | {
      readonly type: "slice";
      readonly time: number;
      readonly widthNs: number;
      readonly rows: readonly {
        readonly suite: string;
        readonly kind: string;
        readonly ok: number;
        readonly fail: number;
        readonly info: number;
        readonly p50: number;
        readonly p99: number;
        readonly max: number;
      }[];
    }
  | { readonly type: "latency"; readonly rows: readonly LatencyRow[] }
  /** Longest time without a success, over the run and within each fault's window. */
  | {
      readonly type: "availability";
      readonly longestGapNs: number;
      readonly perFault: readonly { readonly id: number; readonly fault: string; readonly longestGapNs: number }[];
    };

/** A run as read back from its directory (`harness/run-directory.ts`). */
export interface Run {
  readonly directory: string;
  readonly info: RunInfo;
  readonly injections: readonly Injection[];
  readonly metrics: readonly MetricsLine[];
  readonly verdict?: RunVerdict;
}

/** A file a reporter makes, named relative to the run directory. */
export interface Artifact {
  readonly name: string;
  readonly content: string | Uint8Array;
}
