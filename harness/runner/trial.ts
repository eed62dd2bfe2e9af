import type { Json, Validity, Verdict } from "knossos-ts";
import { combine } from "knossos-ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { Fault, Injection, ScheduledFault } from "../fault.ts";
import { createLatencyBook, type LatencyBook } from "../load/latency.ts";
import { Recorder } from "../recorder.ts";
import { RunDirectoryFailed, type RunDirectory } from "../run-directory.ts";
import type { RunInfo, RunVerdict } from "../run.ts";
import type { EtcdClient, Suite } from "../suite.ts";
import type { LaunchSpec, Target } from "../target.ts";
import { cellsOf, exitCodeOf } from "./exit-code.ts";
import { summaryOf } from "./summary.ts";
import { Load } from "./load.ts";
import { runNemesis, sleepUnlessAborted, type UndoJournal } from "./nemesis.ts";
import type { Progress } from "./progress.ts";
import { waitUntilWhole, waitUntilWritable } from "./recovery.ts";
import { Session } from "./session.ts";

const WHOLE_AT_START_MS = 30_000;
const WHOLE_BETWEEN_FAULTS_MS = 10_000;
const RECOVERY_MS = 60_000;
/** Past the planned end: a schedule that fell behind (slow heals) may go on this long, then the rest is left. */
const OVERTIME_MS = 60_000;
const STATUS_EVERY_MS = 250;

export type SuiteVerdict = RunVerdict["suites"][number];

export interface TrialParts {
  readonly target: Target;
  readonly suites: readonly Suite[];
  readonly faults: readonly Fault[];
  readonly schedule: readonly ScheduledFault[];
  readonly seed: number;
  readonly durationMs: DurationMs;
  readonly ratePerSecond?: number;
  readonly clock: Clock;
  readonly directory: Pick<RunDirectory, "lines" | "writeInfo" | "writeVerdict">;
  readonly journal: UndoJournal;
  readonly connect: (address: string) => EtcdClient;
  /** The state a cluster that was there before us begins in, for the checker; asked once the target has started. */
  readonly initial?: () => Promise<Json | undefined>;
  /** Judges the recorded history. Never rejects: what cannot be judged is unknown. */
  readonly judge: (suites: readonly Suite[]) => Promise<readonly SuiteVerdict[]>;
  readonly progress: Progress;
  /** Ctrl-C: heals, ends the load, judges what there is. */
  readonly stop: AbortSignal;
  /** run.json without what only the run knows. */
  readonly info: Omit<RunInfo, "versions" | "finishedAt">;
  readonly timestamp: () => string;
  /** Simulation only; asked at the end. */
  readonly traceHash?: () => string;
}

/** What a run gathers on its way to the judgement. */
interface Found {
  readonly injections: Injection[];
  /** Why the run cannot say that everything held, though no checker refuted anything. */
  readonly problems: string[];
  versions: Readonly<Record<string, string>>;
  /** A file of the run could not be written. */
  unwritable: boolean;
}

/**
 * One whole trial: start, load under faults, final heal, recovery, last reads, judgement.
 * Resolves to the verdict, which is also in the run's directory; rejects with a UsageError when the target cannot start.
 * The target is disposed of by the time it settles.
 */
export async function runTrial(parts: TrialParts): Promise<RunVerdict> {
  const found: Found = { injections: [], problems: [], versions: {}, unwritable: false };
  try {
    parts.directory.writeInfo({ ...parts.info, versions: {} });
    await conduct(parts, found);
  } catch (error) {
    if (!isWriteFailure(error)) throw error;
    found.unwritable = true;
    found.problems.push(error.message);
  } finally {
    await parts.target[Symbol.asyncDispose]();
  }
  parts.progress.phase("judge");
  const suites = await parts.judge(parts.suites);
  return conclude(parts, found, suites);
}

/** Everything between the start of the target and the last read. */
async function conduct(parts: TrialParts, found: Found): Promise<void> {
  const { target, clock, directory, progress, stop, faults } = parts;
  progress.phase("start");
  await target.start(prepared(faults));
  found.versions = await target.versions();
  directory.writeInfo({ ...parts.info, versions: found.versions });
  const absent = await waitUntilWhole(target, clock, WHOLE_AT_START_MS, stop);
  if (absent.length > 0 && !stop.aborted) found.problems.push(`the cluster did not come up: ${absent.join(", ")}`);
  if (absent.length > 0) return;

  const broken = new AbortController();
  const recorder = new Recorder(directory.lines("history.jsonl"), clock, (error) => broken.abort(error));
  // Nobody else writes while a trial is on: with foreign writers hardly any answer could be refuted.
  recorder.start("etcd", false, await parts.initial?.());
  const figures = createLatencyBook({ beginNs: recorder.nowNs() });
  const clients = { clock, recorder, connect: (node: string) => parts.connect(target.endpoint(node)) };
  const nodes = target.nodes.map((node) => node.name);
  const load = new Load({
    ...clients,
    suites: parts.suites,
    seed: parts.seed,
    nodes,
    observe: (sample) => figures.record(sample),
    ...(parts.ratePerSecond === undefined ? {} : { ratePerSecond: parts.ratePerSecond }),
  });
  progress.phase("setup");
  for (const suite of parts.suites) await suite.setup?.(load.context(suite, "setup", stop));

  await loadUnderFaults(parts, { load, recorder, broken, found, figures });
  if (recorder.failure !== undefined) throw recorder.failure;

  progress.phase("recover");
  const session = (node: string) => new Session({ ...clients, suite: "recovery", observe: () => {} }, node);
  const missing = await recovered(parts, session, nodes);
  if (missing.length > 0) {
    found.problems.push(
      `the cluster did not recover within ${RECOVERY_MS / 1000} s of the last heal: ${missing.join(", ")}`,
    );
    return;
  }
  progress.phase("finish");
  const last = new AbortController();
  for (const suite of parts.suites) await suite.finish?.(load.context(suite, "finish", last.signal));
}

/** A first Ctrl-C shortens the load; the recovery is still waited for, since the last reads need it. */
async function recovered(
  parts: TrialParts,
  session: (node: string) => Session,
  nodes: readonly string[],
): Promise<readonly string[]> {
  const end = parts.clock.now() + RECOVERY_MS;
  const missing = await waitUntilWhole(parts.target, parts.clock, RECOVERY_MS);
  if (missing.length > 0) return missing;
  return waitUntilWritable(session, nodes, parts.clock, end - parts.clock.now());
}

interface Underway {
  readonly load: Load;
  readonly recorder: Recorder;
  /** Aborted when the history can no longer be written. */
  readonly broken: AbortController;
  readonly found: Found;
  readonly figures: LatencyBook;
}

async function loadUnderFaults(parts: TrialParts, underway: Underway): Promise<void> {
  const { clock, progress, directory } = parts;
  const { recorder, figures } = underway;
  const { injections, problems } = underway.found;
  progress.phase("load");
  const over = new AbortController();
  const halt = AbortSignal.any([parts.stop, underway.broken.signal, over.signal]);
  const faultLines = directory.lines("faults.jsonl");
  const metricLines = directory.lines("metrics.jsonl");
  const begin = recorder.nowNs();
  let fault: string | undefined;
  const working = underway.load
    .run(halt, () => over.abort())
    .catch((error: unknown) => {
      if (recorder.failure === undefined) problems.push(`a client of the load broke down: ${messageOf(error)}`);
    });
  const watching = reportStatus(parts, underway, halt, metricLines, () => fault);
  const nemesis = runNemesis({
    ...parts,
    recorder,
    signal: halt,
    settle: (signal) => waitUntilWhole(parts.target, clock, WHOLE_BETWEEN_FAULTS_MS, signal),
    onInjection: (injection) => {
      injections.push(injection);
      progress.note(sentenceOf(injection));
      faultLines.write(`${JSON.stringify(injection)}\n`);
    },
    onFault: (name) => (fault = name),
  }).catch((error: unknown) => {
    over.abort();
    if (recorder.failure === undefined) throw error;
  });
  const planned = sleepUnlessAborted(clock, parts.durationMs, halt);
  const overtime = new AbortController();
  const late = sleepUnlessAborted(clock, parts.durationMs + OVERTIME_MS, AbortSignal.any([halt, overtime.signal]));
  // The load lasts as long as both the duration and the schedule ask for, within bounds.
  await Promise.race([Promise.all([planned, nemesis]), late]).finally(() => {
    over.abort();
    overtime.abort();
  });
  await Promise.all([working, watching, nemesis]);
  const lines = figures.finish(injections, { begin, end: recorder.nowNs() });
  for (const line of lines) metricLines.write(`${JSON.stringify(line)}\n`);
}

/** Draws the progress and writes a slice of the figures each second, until the load halts. */
async function reportStatus(
  parts: TrialParts,
  { recorder, figures }: Underway,
  halt: AbortSignal,
  lines: { write(text: string): void },
  fault: () => string | undefined,
): Promise<void> {
  const { clock, progress } = parts;
  const begun = clock.now();
  let ok = 0;
  let errors = 0;
  let perSecond = 0;
  let sliceAt = begun + 1_000;
  while (!halt.aborted) {
    await sleepUnlessAborted(clock, STATUS_EVERY_MS, halt);
    if (clock.now() >= sliceAt || halt.aborted) {
      sliceAt += 1_000;
      const line = figures.slice(recorder.nowNs());
      if (line.type === "slice") {
        const rows = line.rows;
        const done = rows.reduce((sum, row) => sum + row.ok, 0);
        ok += done;
        errors += rows.reduce((sum, row) => sum + row.fail + row.info, 0);
        perSecond = Math.round((done * 1e9) / line.widthNs);
        lines.write(`${JSON.stringify(line)}\n`);
      }
    }
    const leftMs = Math.max(0, begun + parts.durationMs - clock.now());
    progress.status({ operationsPerSecond: perSecond, ok, errors, fault: fault(), leftMs });
  }
}

const BARE: LaunchSpec = { wrapper: [], env: {}, links: false, faultChannel: false, extraArgs: [] };

function prepared(faults: readonly Fault[]): LaunchSpec {
  return faults.reduce((spec, fault) => fault.prepare?.(spec) ?? spec, BARE);
}

function conclude(parts: TrialParts, found: Found, suites: readonly SuiteVerdict[]): RunVerdict {
  const { directory, progress } = parts;
  const interrupted = parts.stop.aborted ? "the run was interrupted; what there was is judged" : undefined;
  const names = parts.suites.map((suite) => suite.name);
  const cells = cellsOf(names, parts.schedule, found.injections, interrupted !== undefined);
  const judged = combine(suites);
  const valid: Validity = judged === true && found.problems.length > 0 ? "unknown" : judged;
  const decide = (unwritable: boolean): RunVerdict => {
    const exitCode = exitCodeOf({ valid, cells, planned: parts.schedule.length, unwritable });
    const summary = summaryOf({
      valid,
      exitCode,
      suites,
      cells,
      problems: found.problems,
      injections: found.injections,
    });
    return {
      valid,
      exitCode,
      summary,
      suites,
      cells,
      ...(interrupted === undefined ? {} : { interrupted }),
      ...(parts.traceHash === undefined ? {} : { traceHash: parts.traceHash() }),
    };
  };
  const verdict = decide(found.unwritable);
  try {
    directory.writeInfo({ ...parts.info, versions: found.versions, finishedAt: parts.timestamp() });
    directory.writeVerdict(verdict);
    return verdict;
  } catch (error) {
    if (!isWriteFailure(error)) throw error;
    progress.note(error.message);
    return decide(true);
  }
}

function sentenceOf(injection: Injection): string {
  const on = injection.on.length === 0 ? "nobody" : injection.on.join(", ");
  const { result, during } = injection.evidence;
  return `${injection.fault} on ${on}: ${result} (${injection.error ?? during.text})`;
}

/** What the system says of a file that cannot be written, whoever wrote it: us, the recorder, the target's journal. */
const DISK_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG"]);

function isWriteFailure(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return (
    error instanceof RunDirectoryFailed ||
    error.name === "RecordingFailed" ||
    ("code" in error && DISK_CODES.has(error.code))
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Verdicts of one suite under one head. */
export function suiteVerdict(suite: Pick<Suite, "name" | "guarantee">, verdicts: readonly Verdict[]): SuiteVerdict {
  return { suite: suite.name, guarantee: suite.guarantee, valid: combine(verdicts), verdicts };
}
