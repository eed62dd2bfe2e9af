import { UsageError } from "../harness/errors.ts";
import { findByName } from "../harness/runner/selection.ts";
import { entropySeed } from "../seams/node/random.ts";
import { defaultSuites, suiteCatalogue } from "../suites/index.ts";
import { runOnce, type Plan } from "./run-once.ts";

/** The words of `seatrial run`, each already of its type. */
export interface RunWords {
  readonly suites: readonly string[];
  readonly all?: boolean;
  readonly target?: string;
  readonly endpoints?: readonly string[];
  readonly nodes?: number;
  readonly seed?: number;
  readonly duration?: number;
  readonly faults?: readonly string[] | "all" | "none";
  readonly rate?: number;
  readonly allowRemote?: boolean;
  readonly plant?: string;
  readonly out: string;
  readonly open?: boolean;
}

const DEFAULT_NODES = 3;
/** Room for each kind of fault once, with a recovery after it, within the patience of somebody who tries this for the first time. */
const DEFAULT_DURATION_MS = 36_000;

export async function runCommand(words: RunWords): Promise<number> {
  return (await runOnce(planOf(words))).exitCode;
}

/** What a run will do, with every default filled in. Throws UsageErrors for words that contradict each other. */
export function planOf(words: RunWords): Plan {
  if (words.all === true && words.suites.length > 0) {
    throw new UsageError(`--all and the suites ${words.suites.join(" ")} exclude each other; give one of them.`);
  }
  const target = words.target ?? (words.endpoints === undefined ? "reference" : "endpoints");
  if (target === "endpoints" && words.endpoints === undefined) {
    throw new UsageError(
      "--target endpoints needs --endpoints with the addresses of the cluster, such as 127.0.0.1:2379.",
    );
  }
  if (target !== "endpoints" && words.endpoints !== undefined) {
    throw new UsageError(`--endpoints is for --target endpoints, not for --target ${target}; leave one of them out.`);
  }
  if (words.plant !== undefined && target !== "simulation") {
    throw new UsageError(`--plant is for --target simulation, not for --target ${target}; leave one of them out.`);
  }
  const named = words.suites.map((name) => findByName("suite", suiteCatalogue, name));
  const defaults = suiteCatalogue.filter((suite) => defaultSuites.includes(suite.name));
  const asked = words.all === true ? suiteCatalogue : named.length > 0 ? [...new Set(named)] : defaults;
  return {
    suites: asked,
    suitesNamed: named.length > 0,
    target,
    ...(words.endpoints === undefined ? {} : { endpoints: words.endpoints }),
    nodes: words.endpoints?.length ?? words.nodes ?? DEFAULT_NODES,
    seed: words.seed ?? entropySeed(),
    ...(words.duration === undefined ? {} : { durationMs: words.duration }),
    defaultDurationMs: DEFAULT_DURATION_MS,
    faults: words.faults ?? "all",
    ...(words.rate === undefined ? {} : { ratePerSecond: words.rate }),
    ...(words.plant === undefined ? {} : { plant: words.plant }),
    allowRemote: words.allowRemote === true,
    out: words.out,
    open: words.open === true,
  };
}
