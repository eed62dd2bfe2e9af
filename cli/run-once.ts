import { join, relative, resolve } from "node:path";
import type { Fault, ScheduledFault } from "../harness/fault.ts";
import { UsageError } from "../harness/errors.ts";
import { createRunDirectory, readRun, type RunDirectory } from "../harness/run-directory.ts";
import type { RunInfo, RunVerdict } from "../harness/run.ts";
import { planSchedule, shortestDurationMs } from "../harness/runner/schedule.ts";
import { selectFaults, splitByNeeds } from "../harness/runner/selection.ts";
import { runTrial } from "../harness/runner/trial.ts";
import type { Suite } from "../harness/suite.ts";
import type { Target } from "../harness/target.ts";
import { processStartTime } from "../harness/targets/process-identity.ts";
import { systemClock } from "../seams/node/clock.ts";
import { judgeHistory } from "../suites/judge.ts";
import { initialStateOf, openClusterFor } from "./cluster.ts";
import { report as reportError } from "./exit.ts";
import { listenForInterrupts } from "./interrupt.ts";
import { openPage } from "./open-page.ts";
import { progressOn } from "./progress.ts";
import { writeReports } from "./report.ts";
import { resultLines } from "./results.ts";
import { runIdOf, runInfoOf, timestamp } from "./run-info.ts";

/** What a run will do. */
export interface Plan {
  readonly suites: readonly Suite[];
  /** Suites that were named must be possible; suites by default are skipped where the target cannot have them. */
  readonly suitesNamed: boolean;
  readonly target: string;
  readonly endpoints?: readonly string[];
  readonly nodes: number;
  readonly seed: number;
  /** Absent: the default, or longer if the faults need it. */
  readonly durationMs?: number;
  readonly defaultDurationMs: number;
  readonly faults: readonly string[] | "all" | "none";
  /** A schedule to repeat instead of drawing one. */
  readonly schedule?: readonly ScheduledFault[];
  readonly ratePerSecond?: number;
  /** A bug in every member; only in the simulation. */
  readonly plant?: string;
  /** Load may go to other machines; only with endpoints. */
  readonly allowRemote: boolean;
  readonly out: string;
  readonly open: boolean;
}

/** The checker's time for one run. It is reached by histories far larger than our load makes. */
const JUDGE_LIMIT_MS = 120_000;

/** One run, from target to report. Progress goes to stderr, the result to stdout. Rejects with a UsageError before anything was tried. */
export async function runOnce(plan: Plan): Promise<RunVerdict> {
  const id = runIdOf(plan.seed);
  const writer = { pid: process.pid, started: processStartTime(process.pid) ?? "" };
  const directory = createRunDirectory(resolve(plan.out), id, writer);
  try {
    const target = await openClusterFor(plan, directory.path);
    const parts = await chosenFor(plan, target);
    return await conduct(plan, { ...parts, directory, target, info: runInfoOf(plan, id, parts) });
  } catch (error) {
    // Nothing was tried: an empty run would only be in the way.
    if (error instanceof UsageError) directory.discard();
    throw error;
  } finally {
    directory.close();
  }
}

export type Chosen = Awaited<ReturnType<typeof chosenFor>>;

/** Suites, faults and schedule that this target can have. */
async function chosenFor(plan: Plan, target: Target) {
  const has = (capability: string) => target.has(capability);
  const suites = splitByNeeds(plan.suites, has, target.name);
  const [impossible] = suites.notTried;
  if (impossible !== undefined && (plan.suitesNamed || suites.usable.length === 0)) {
    throw new UsageError(`suite '${impossible.what}' cannot be tried here: ${impossible.reason}.`);
  }
  const catalogue: readonly Fault[] = plan.faults === "none" ? [] : await catalogueOf(target);
  const faults = selectFaults(catalogue, plan.faults, has, target.name);
  const durationMs = plan.durationMs ?? Math.max(plan.defaultDurationMs, shortestDurationMs(faults.usable.length));
  const nodes = target.nodes.map((node) => node.name);
  return {
    suites: suites.usable,
    faults: faults.usable,
    durationMs,
    schedule: plan.schedule ?? planSchedule(plan.seed, faults.usable, nodes, durationMs),
    notTried: [...suites.notTried, ...faults.notTried],
  };
}

/** The simulation has faults of its own: its evidence is read from the world. */
async function catalogueOf(target: Target): Promise<readonly Fault[]> {
  if (!target.has("simulation")) return (await import("../faults/index.ts")).faultCatalogue;
  return (await import("../harness/targets/simulation/faults.ts")).simulatedFaults;
}

interface Composed extends Chosen {
  readonly directory: RunDirectory;
  readonly target: Target;
  readonly info: Omit<RunInfo, "versions" | "finishedAt">;
}

async function conduct(plan: Plan, parts: Composed): Promise<RunVerdict> {
  const { directory, info } = parts;
  const progress = progressOn(process.stderr);
  process.stderr.write(`seed ${info.seed}, commit ${info.seatrial.commit}, run ${shown(directory.path)}\n`);
  using interrupts = listenForInterrupts((signal) =>
    progress.note(`${signal}: healing the faults and judging what there is; once more to end at once`),
  );
  try {
    const verdict = await trial(plan, parts, progress, interrupts.stop);
    progress.phase("report");
    return await present(plan, parts, verdict, progress);
  } finally {
    progress.end();
  }
}

/** Reports and results. A report that cannot be written costs no proven violation its exit code. */
async function present(
  plan: Plan,
  parts: Composed,
  verdict: RunVerdict,
  progress: ReturnType<typeof progressOn>,
): Promise<RunVerdict> {
  const { path } = parts.directory;
  try {
    const report = await writeReports(path);
    progress.end();
    const { injections } = readRun(path);
    process.stdout.write(`${resultLines({ ...parts, injections, verdict, report: shown(report) }).join("\n")}\n`);
    if (plan.open) openPage(report);
    return verdict;
  } catch (error) {
    progress.end();
    process.stdout.write(`${resultLines({ ...parts, injections: [], verdict }).join("\n")}\n`);
    const code = reportError(error);
    return verdict.exitCode === 1 ? verdict : { ...verdict, exitCode: code };
  }
}

/** Short where the file is below the working directory, absolute elsewhere. */
function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

async function trial(
  plan: Plan,
  parts: Composed,
  progress: ReturnType<typeof progressOn>,
  stop: AbortSignal,
): Promise<RunVerdict> {
  const { directory, target } = parts;
  const historyFile = join(directory.path, "history.jsonl");
  const common = {
    ...parts,
    seed: plan.seed,
    ...(plan.ratePerSecond === undefined ? {} : { ratePerSecond: plan.ratePerSecond }),
    judge: (suites: readonly Suite[]) =>
      judgeHistory(historyFile, suites, { clock: systemClock, timeLimitMs: JUDGE_LIMIT_MS }),
    progress,
    stop,
    timestamp,
  };
  if (target.has("simulation")) {
    const { runSimulated } = await import("../harness/targets/simulation/run.ts");
    return runSimulated({ ...common, target });
  }
  const initial = initialStateOf(target);
  const { connectEtcd } = await import("../harness/clients/etcd.ts");
  const { openJournal } = await import("../faults/journal.ts");
  return runTrial({
    ...common,
    ...(initial === undefined ? {} : { initial }),
    clock: systemClock,
    journal: openJournal(directory.path),
    connect: (address) => connectEtcd(address, { clock: systemClock }),
  });
}
