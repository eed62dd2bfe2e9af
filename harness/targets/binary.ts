import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../errors.ts";

/** An executable that starts like etcd. */
export interface Binary {
  /** What the target is called: `reference`, `etcd` or the path as given. */
  readonly name: string;
  readonly path: string;
  /** Words before the flags: `store` for ours. */
  readonly words: readonly string[];
  /** As it says itself: `3.4.23`. */
  readonly version: string;
  readonly ours: boolean;
}

const VERSION_LIMIT_MS = 10_000;

/** Finds what `reference`, `etcd` or a path means and asks it for its version. Rejects with UsageError. */
export async function findBinary(spec: string): Promise<Binary> {
  if (spec === "reference") return described({ name: spec, path: launcher(), words: ["store"], ours: true });
  if (spec === "etcd") return described({ name: spec, path: onPath("etcd"), words: [], ours: false });
  return described({ name: spec, path: asGiven(spec), words: [], ours: false });
}

/** `bin/seatrial`, from the sources (`harness/targets/`) or from the package (`dist/harness/targets/`). */
function launcher(): string {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const found = ["../..", "../../.."].map((up) => join(here, up, "bin", "seatrial")).find((path) => existsSync(path));
  if (found === undefined) throw new UsageError(`bin/seatrial is missing above ${here}; install seatrial again.`);
  return found;
}

function onPath(name: string): string {
  const found = (process.env["PATH"] ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutableFile);
  if (found !== undefined) return found;
  throw new UsageError(
    `no ${name} on PATH; install it (Debian: apt-get install etcd-server) or give --target the path to one.`,
  );
}

function asGiven(path: string): string {
  if (!existsSync(path))
    throw new UsageError(
      `the target ${path} does not exist; give --target reference, etcd, endpoints or a path to a binary that starts like etcd.`,
    );
  if (!isExecutableFile(path))
    throw new UsageError(
      `the target ${path} is not an executable file; give --target a path to a binary that starts like etcd.`,
    );
  return resolve(path);
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

async function described(binary: Omit<Binary, "version">): Promise<Binary> {
  const printed = await output(binary.path, [...binary.words, "--version"]);
  const version = /^etcd Version: (\S+)/m.exec(printed)?.[1];
  if (version !== undefined) return { ...binary, version };
  const words = [binary.path, ...binary.words, "--version"].join(" ");
  throw new UsageError(
    `${words} does not print "etcd Version: x.y.z" (it printed ${gistOf(printed)}); give --target a binary that starts like etcd.`,
  );
}

/** Both streams, whatever the exit code: the caller looks at what was said. */
function output(path: string, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(path, words, { timeout: VERSION_LIMIT_MS, env: memberEnvironment({}) }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === "string")
        reject(new UsageError(`${path} cannot be run (${error.code}); give --target a binary that starts like etcd.`));
      else resolve(stdout + stderr);
    });
  });
}

/** Ours without ETCD_*: etcd reads each flag from the environment too, and the trial's flags must be the only ones. */
export function memberEnvironment(extra: Readonly<Record<string, string>>): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith("ETCD_"),
  );
  return { ...Object.fromEntries(inherited), ...extra };
}

/** A plain line that says why a program gave up; usage text often follows it. */
const REASON = /not defined|unknown (flag|option)|address already in use|EADDRINUSE|^panic: |\berror\b/i;

/** Why a program ended, as far as its output says, short enough for a sentence: its fatal log line, the line that reads like a reason, or the last two. */
export function gistOf(text: string): string {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (lines.length === 0) return "nothing";
  const fatal =
    lines.findLast((line) => /"level":"(fatal|panic)"/.test(line)) ??
    lines.find((line) => !line.startsWith("{") && REASON.test(line));
  const telling = fatal === undefined ? lines.slice(-2) : [fatal];
  return `"${telling.map((line) => messageIn(line).slice(0, 300)).join(" / ")}"`;
}

/** The message and error of a JSON log line; any other line as it is. */
function messageIn(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { msg, error } = JSON.parse(line) as { msg?: unknown; error?: unknown };
    return typeof msg === "string" ? msg + (typeof error === "string" ? `: ${error}` : "") : line;
  } catch (error) {
    if (error instanceof SyntaxError) return line;
    throw error;
  }
}
