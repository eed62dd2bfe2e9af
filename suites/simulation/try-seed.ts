import { parseHistoryLines } from "knossos-ts";
import type { Fault, Injection } from "../../harness/fault.ts";
import type { RunVerdict } from "../../harness/run.ts";
import { silent } from "../../harness/runner/progress.ts";
import { planSchedule } from "../../harness/runner/schedule.ts";
import { suiteVerdict, type TrialParts } from "../../harness/runner/trial.ts";
import type { Suite } from "../../harness/suite.ts";
import { simulatedFaults } from "../../harness/targets/simulation/faults.ts";
import { runSimulated } from "../../harness/targets/simulation/run.ts";
import { SimulationTarget } from "../../harness/targets/simulation/target.ts";
import { shuffled } from "../../harness/targets/simulation/unrest.ts";
import type { DurationMs } from "../../seams/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import { suiteCatalogue } from "../index.ts";

export interface SeedTrial {
  readonly seed: number;
  readonly plant?: string;
  /** Simulated; the default is short, because many seeds find more than one long one. */
  readonly durationMs?: DurationMs;
  readonly suites?: readonly Suite[];
  /** Names; absent: drawn from the seed. */
  readonly faults?: readonly string[];
  /** Real time for the checker. */
  readonly timeLimitMs?: number;
  readonly keepTrace?: boolean;
}

export interface SeedResult {
  readonly seed: number;
  readonly verdict: RunVerdict;
  readonly traceHash: string;
  readonly history: string;
  readonly injections: readonly Injection[];
  readonly trace: readonly string[];
}

export const HUNT_DURATION_MS = 12_000;

/** The key-value clients always, the others in some seeds: fewer clients are faster, and leave other gaps between requests. */
export function suitesOf(seed: number): readonly Suite[] {
  const random = seededRandom(seed).fork("suites");
  const drawn = [...(random.below(3) === 0 ? ["etcd/watch"] : []), ...(random.below(4) === 0 ? ["etcd/lease"] : [])];
  return suiteCatalogue.filter(({ name }) => name === "etcd/kv" || drawn.includes(name));
}

/**
 * One or two kinds of fault a seed: with all of them in each trial none lasts, and those that hide each other's damage are never apart.
 * What finds most comes most often, and alone: elections in a row, power losses in a row, a leader that does not know it is deposed.
 */
export function faultsOf(seed: number): readonly Fault[] {
  const random = seededRandom(seed).fork("faults");
  const alone = ["leader-loss", "leader-loss", "power-storm", "late-answers"][random.below(6)];
  if (alone !== undefined) return simulatedFaults.filter(({ name }) => name === alone);
  const kinds = shuffled(random, simulatedFaults).slice(0, 1 + random.below(2));
  return simulatedFaults.filter((fault) => kinds.includes(fault));
}

/** One whole trial in the simulation, without files: `seatrial run --target simulation --seed N --duration 20s` does the same on disk. */
export async function trySeed(options: SeedTrial): Promise<SeedResult> {
  const { seed, plant } = options;
  const faults =
    options.faults === undefined
      ? faultsOf(seed)
      : simulatedFaults.filter(({ name }) => options.faults?.includes(name));
  const durationMs = options.durationMs ?? HUNT_DURATION_MS;
  const suites = options.suites ?? suitesOf(seed);
  const target = new SimulationTarget({
    seed,
    nodes: 3,
    keepTrace: options.keepTrace ?? false,
    ...(plant === undefined ? {} : { plant }),
  });
  const files = new Map<string, string[]>();
  const linesOf = (name: string): string[] => {
    const lines = files.get(name) ?? [];
    files.set(name, lines);
    return lines;
  };
  const judge = async (asked: readonly Suite[]) => {
    const history = parseHistoryLines(linesOf("history.jsonl").map((line) => line.trimEnd()));
    return Promise.all(
      asked.map(async (suite) =>
        suiteVerdict(suite, await suite.check(history, { timeLimitMs: options.timeLimitMs ?? 60_000 })),
      ),
    );
  };
  const verdict = await runSimulated({
    target,
    suites,
    faults,
    schedule: planSchedule(
      seed,
      faults,
      target.nodes.map(({ name }) => name),
      durationMs,
    ),
    seed,
    durationMs,
    directory: {
      lines: (name) => {
        const lines = linesOf(name);
        return { write: (text) => void lines.push(text) };
      },
      writeInfo: () => {},
      writeVerdict: () => {},
    },
    judge,
    progress: silent,
    stop: new AbortController().signal,
    info: infoOf(seed, durationMs),
    timestamp: () => "",
  });
  return {
    seed,
    verdict,
    traceHash: target.traceHash,
    history: linesOf("history.jsonl").join(""),
    injections: linesOf("faults.jsonl").map((line) => JSON.parse(line) as Injection),
    trace: target.trace,
  };
}

/** Of no interest to a trial that writes no files. */
function infoOf(seed: number, durationMs: DurationMs): TrialParts["info"] {
  return {
    format: 1,
    id: `seed-${seed}`,
    seed,
    startedAt: "",
    seatrial: { version: "", commit: "" },
    command: "",
    replay: "",
    options: { suites: [], target: "simulation", nodes: 3, durationMs, faults: [] },
    host: { platform: "", cpus: 0, memoryBytes: 0, node: "" },
    schedule: [],
    notTried: [],
  };
}
