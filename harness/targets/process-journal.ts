import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import { UsageError } from "../errors.ts";
import { processStartTime } from "./process-identity.ts";

/** A child of a run. `started` tells it from a later process with the same pid. */
export interface RecordedProcess {
  readonly node: string;
  readonly pid: number;
  readonly started: string;
  readonly command: string;
}

const FILE = "processes.json";
/** etcd's leader, told to stop with all its peers, waits many seconds for one to take over: nobody is waiting for that. */
const TERM_GRACE_MS: DurationMs = 1_500;
const KILL_GRACE_MS: DurationMs = 5_000;
const LOOK_EVERY_MS: DurationMs = 20;

/** The children of a run that are alive, on disk (`processes.json`) before they count as started. */
export class ProcessJournal {
  readonly #path: string;
  #processes: readonly RecordedProcess[] = [];

  constructor(runDir: string) {
    this.#path = join(runDir, FILE);
  }

  add(process: RecordedProcess): void {
    this.#write([...this.#processes, process]);
  }

  remove(pid: number): void {
    this.#write(this.#processes.filter((process) => process.pid !== pid));
  }

  /** Written aside, synced, renamed, and the name synced: a crash leaves the old list or the new one. */
  #write(processes: readonly RecordedProcess[]): void {
    const aside = `${this.#path}.new`;
    const file = openSync(aside, "w");
    try {
      writeSync(file, `${JSON.stringify(processes, null, 2)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, this.#path);
    const directory = openSync(dirname(this.#path), "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
    this.#processes = processes;
  }
}

/** What a run recorded as alive; [] if it recorded nothing. Throws UsageError for a damaged file. */
export function readProcessJournal(runDir: string): readonly RecordedProcess[] {
  const path = join(runDir, FILE);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
  const damaged = new UsageError(
    `${path} is damaged: it should be the list of the run's processes; end them by hand and remove the file.`,
  );
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    damaged.cause = error;
    throw damaged;
  }
  if (!Array.isArray(parsed) || !parsed.every(isRecordedProcess)) throw damaged;
  return parsed;
}

/**
 * Ends what a killed harness left behind: each process of the run's journal that is still that process.
 * Resolves to those that were alive, and empties the journal.
 */
export async function endLeftovers(
  runDir: string,
  options: { readonly clock: Clock },
): Promise<readonly RecordedProcess[]> {
  const alive = readProcessJournal(runDir).filter(isAlive);
  await Promise.all(alive.map((process) => endProcess(process, options.clock)));
  const journal = new ProcessJournal(runDir);
  if (alive.length > 0) journal.remove(-1);
  return alive;
}

/** True while the recorded process, and no later one with its pid, is there. */
export function isAlive(process: RecordedProcess): boolean {
  return processStartTime(process.pid) === process.started;
}

/** SIGCONT (a stopped process hears nothing else), SIGTERM, and SIGKILL after a bound. Rejects if even that does not end it. */
export async function endProcess(process: RecordedProcess, clock: Clock): Promise<void> {
  signal(process, "SIGCONT");
  signal(process, "SIGTERM");
  if (await isGone(process, clock, TERM_GRACE_MS)) return;
  signal(process, "SIGKILL");
  if (await isGone(process, clock, KILL_GRACE_MS)) return;
  throw new Error(`process ${process.pid} (${process.node}) is still there ${KILL_GRACE_MS} ms after SIGKILL`);
}

function signal(recorded: RecordedProcess, name: NodeJS.Signals): void {
  if (!isAlive(recorded)) return;
  try {
    process.kill(recorded.pid, name);
  } catch (error) {
    // It ended between the look and the signal.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function isGone(process: RecordedProcess, clock: Clock, withinMs: DurationMs): Promise<boolean> {
  const end = clock.now() + withinMs;
  while (isAlive(process)) {
    if (clock.now() >= end) return false;
    await clock.sleep(LOOK_EVERY_MS);
  }
  return true;
}

function isRecordedProcess(value: unknown): value is RecordedProcess {
  return (
    typeof value === "object" &&
    value !== null &&
    "node" in value &&
    typeof value.node === "string" &&
    "pid" in value &&
    Number.isInteger(value.pid) &&
    Number(value.pid) > 1 &&
    "started" in value &&
    typeof value.started === "string" &&
    "command" in value &&
    typeof value.command === "string"
  );
}
