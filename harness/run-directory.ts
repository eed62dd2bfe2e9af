import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Injection } from "./fault.ts";
import { UsageError } from "./errors.ts";
import type { LineSink } from "./recorder.ts";
import type { Artifact, MetricsLine, Run, RunInfo, RunVerdict } from "./run.ts";

/** A file of the run could not be written: exit code 2, unless a violation is already proven. */
export class RunDirectoryFailed extends Error {
  override readonly name = "RunDirectoryFailed";
}

/** Who writes the run, so that `seatrial clean` can tell a killed run from a living one. */
export interface Writer {
  readonly pid: number;
  /** The kernel's start time of that pid, which tells it from a later process with the same number. */
  readonly started: string;
}

/**
 * One run's directory while it is written. Line files are appended with one write call a line;
 * whole files are small and written at once.
 */
export class RunDirectory {
  readonly path: string;
  readonly logs: string;
  readonly #open: number[] = [];

  constructor(path: string) {
    this.path = path;
    this.logs = join(path, "logs");
  }

  /** Appends lines to a file of the directory. Throws the system's own error (`ENOSPC`...). */
  lines(name: string): LineSink {
    const descriptor = attempt(this.path, () => openSync(join(this.path, name), "a"));
    this.#open.push(descriptor);
    return { write: (text) => writeAll(descriptor, text) };
  }

  writeInfo(info: RunInfo): void {
    this.writeJson("run.json", info);
  }

  writeVerdict(verdict: RunVerdict): void {
    this.writeJson("verdict.json", verdict);
  }

  writeJson(name: string, value: unknown): void {
    this.writeArtifact({ name, content: `${JSON.stringify(value, null, 2)}\n` });
  }

  writeArtifact(artifact: Artifact): void {
    const path = join(this.path, artifact.name);
    attempt(this.path, () => {
      try {
        writeFileSync(path, artifact.content);
      } catch (error) {
        // Half a file would be taken for a damaged run.
        rmSync(path, { force: true });
        throw error;
      }
    });
  }

  close(): void {
    for (const descriptor of this.#open.splice(0)) closeSync(descriptor);
  }

  /** Removes a run in which nothing was tried, so that it is in nobody's way. */
  discard(): void {
    this.close();
    rmSync(this.path, { recursive: true, force: true });
    const latest = join(dirname(this.path), "latest");
    if (linkTarget(latest) === basename(this.path)) rmSync(latest);
  }
}

/**
 * Makes `<out>/<id>/` with its `logs/`, and points `<out>/latest` at it.
 * Rejects with a UsageError that names the folder when it cannot be made or written to.
 */
export function createRunDirectory(out: string, id: string, writer: Writer): RunDirectory {
  const path = join(out, id);
  try {
    makeFolder(join(path, "logs"));
    writeFileSync(join(path, "writer.json"), `${JSON.stringify(writer)}\n`);
  } catch (error) {
    throw new UsageError(
      `the run directory ${path} cannot be written (${reasonOf(error)}); give --out a folder that can be.`,
    );
  }
  pointLatest(out, id);
  return new RunDirectory(path);
}

/** Makes a folder and those above it. One by one: Node's recursive mkdir never returns where a file system refuses new names (/proc). */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another run may have made it between the two calls.
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== undefined) return undefined;
    throw error;
  }
}

function pointLatest(out: string, id: string): void {
  const link = join(out, "latest");
  try {
    rmSync(link, { force: true });
    symlinkSync(id, link);
  } catch (error) {
    // A convenience only: a file system without symbolic links (EPERM) still holds the run.
    if (codeOf(error) === "ENOSPC") throw new RunDirectoryFailed(`the run directory ${out} is on a full disk.`);
  }
}

/** Reads a run back; a UsageError says which file is missing or damaged. A torn last line of a line file is dropped. */
export function readRun(directory: string): Run {
  const info = parse(directory, "run.json") as RunInfo | undefined;
  if (info === undefined)
    throw new UsageError(`${directory} is not a run: it has no run.json; name a folder such as runs/latest.`);
  const verdict = parse(directory, "verdict.json") as RunVerdict | undefined;
  return {
    directory,
    info,
    injections: readLines(directory, "faults.jsonl") as readonly Injection[],
    metrics: readLines(directory, "metrics.jsonl") as readonly MetricsLine[],
    ...(verdict === undefined ? {} : { verdict }),
  };
}

function parse(directory: string, name: string): unknown {
  const text = readIfThere(join(directory, name));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError(`${join(directory, name)} is damaged: it is not JSON.`);
  }
}

function readLines(directory: string, name: string): readonly unknown[] {
  const text = readIfThere(join(directory, name)) ?? "";
  const lines = text.split("\n");
  // What follows the last newline was torn off by a killed harness (or is empty).
  return lines.slice(0, -1).map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      throw new UsageError(`${join(directory, name)}:${index + 1} is damaged: it is not JSON.`);
    }
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new UsageError(`${path} cannot be read (${reasonOf(error)}).`);
  }
}

/** write(2) may take less than it was given; a short write is continued, so that no line is torn while there is room. */
function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) written += writeSync(descriptor, bytes, written);
}

function attempt<T>(directory: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new RunDirectoryFailed(
      `the run directory ${directory} cannot be written (${reasonOf(error)}); give --out a folder with room.`,
      { cause: error },
    );
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  return codeOf(error) ?? (error instanceof Error ? error.message : String(error));
}
