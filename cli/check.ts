import type { Json } from "knossos-ts";
import { FORMATS, MODELS } from "knossos-ts";
import type { FileVerdict } from "knossos-ts/node";
import { checkFile } from "knossos-ts/node";

export interface CheckCommandOptions {
  readonly model?: string;
  readonly format?: string;
  /** JSON: the model's initial state. */
  readonly initial?: string;
  readonly json?: boolean;
  /** Seconds, or a duration such as 500ms, 30s, 2m. Per file. */
  readonly timeLimit?: string;
}

type ExitCode = 0 | 1 | 2 | 3;

/** Judges files and run directories. Results go to stdout, complaints about the call to stderr. Exit codes: 1 beats 2 beats 3 beats 0. */
export async function checkCommand(files: string[], options: CheckCommandOptions): Promise<number> {
  const parsed = parseOptions(files, options);
  if (typeof parsed === "string") {
    process.stderr.write(`seatrial check: ${parsed}\n`);
    return 2;
  }
  let worst: ExitCode = 0;
  for (const file of files) {
    const verdict = await checkFile(file, parsed);
    const readable = verdict.valid !== null || options.json === true;
    (readable ? process.stdout : process.stderr).write(
      `${options.json === true ? JSON.stringify(withoutVerdicts(verdict)) : describe(verdict)}\n`,
    );
    worst = worse(worst, exitCodeOf(verdict));
  }
  return worst;
}

interface Parsed {
  readonly model?: string;
  readonly format?: string;
  readonly initial?: Json;
  readonly timeLimitMs?: number;
}

/** A text is what is wrong with the call. */
function parseOptions(files: readonly string[], options: CheckCommandOptions): Parsed | string {
  if (files.length === 0) return "no history was named; give one or more history files or run directories";
  if (options.model !== undefined && !MODELS.includes(options.model))
    return `model ${options.model} is not known; one of ${MODELS.join(", ")} is`;
  if (options.format !== undefined && !FORMATS.some((format) => format === options.format))
    return `format ${options.format} is not known; one of ${FORMATS.join(", ")} is`;
  let initial: Json | undefined;
  if (options.initial !== undefined) {
    try {
      initial = JSON.parse(options.initial) as Json;
    } catch {
      return `--initial ${options.initial} is not JSON; give a value such as 0 or '{"x":0,"y":0}'`;
    }
  }
  const timeLimitMs = options.timeLimit === undefined ? undefined : parseDuration(options.timeLimit);
  if (options.timeLimit !== undefined && timeLimitMs === undefined)
    return `--time-limit ${options.timeLimit} is not a duration; give seconds, or one such as 500ms, 30s, 2m`;
  return {
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(initial === undefined ? {} : { initial }),
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  };
}

const UNITS_MS: Readonly<Record<string, number>> = { "": 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNITS_MS[match[2] ?? ""] ?? 1000);
}

function withoutVerdicts(verdict: FileVerdict): Omit<FileVerdict, "verdicts"> {
  const { verdicts: _, ...rest } = verdict;
  return rest;
}

function exitCodeOf(verdict: FileVerdict): ExitCode {
  if (verdict.valid === null) return 2;
  if (verdict.valid === "unknown") return 3;
  return verdict.valid ? 0 : 1;
}

const RANK: Readonly<Record<ExitCode, number>> = { 1: 3, 2: 2, 3: 1, 0: 0 };

function worse(a: ExitCode, b: ExitCode): ExitCode {
  return RANK[a] >= RANK[b] ? a : b;
}

function describe(verdict: FileVerdict): string {
  if (verdict.valid === null) return `${verdict.file}: ${verdict.error ?? "it cannot be read"}`;
  const facts = `${verdict.model ?? "?"}, ${verdict.operations ?? 0} operations, ${verdict.seconds.toFixed(3)} s`;
  const lines = [
    `${verdict.file}: ${verdict.valid === true ? "valid" : verdict.valid === false ? "NOT VALID" : "unknown"} (${facts})`,
  ];
  if (verdict.why !== undefined) lines.push(`  ${verdict.why}`);
  for (const { checker, message } of verdict.anomalies ?? []) lines.push(`  ${checker}: ${message}`);
  const { counterexample } = verdict;
  if (counterexample?.kind === "counterexample") {
    lines.push(`  ${counterexample.prefix.length} operations can be explained; then: ${counterexample.state}`);
    for (const { operation, reason } of counterexample.stuck) lines.push(`    operation ${operation}: ${reason}`);
  }
  return lines.join("\n");
}
