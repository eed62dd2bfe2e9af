import { Budget } from "../budget.ts";
import { MalformedHistory } from "../fold.ts";
import type { ReadOptions } from "../formats/detect.ts";
import { judge } from "../judge.ts";
import type { Proof, Validity, Verdict } from "../verdict.ts";
import { combine } from "../verdict.ts";
import { readHistoryFile } from "./read-history.ts";

export interface CheckFileOptions extends ReadOptions {
  readonly timeLimitMs?: number;
}

/** What `check` says of one file. `valid: null` with `error`: it could not be read. */
export interface FileVerdict {
  /** Exactly as given. */
  readonly file: string;
  readonly valid: Validity | null;
  readonly model?: string;
  readonly format?: string;
  readonly operations?: number;
  readonly seconds: number;
  readonly error?: string;
  readonly why?: string;
  /** One sentence for each thing that is wrong. */
  readonly anomalies?: readonly {
    readonly checker: string;
    readonly kind: string;
    readonly message: string;
    readonly operations: readonly number[];
  }[];
  readonly counterexample?: Proof;
  readonly verdicts?: readonly Verdict[];
}

/** Reads and judges one history file or run directory. Never throws for what is wrong with the file. */
export async function checkFile(file: string, options: CheckFileOptions = {}): Promise<FileVerdict> {
  const budget = new Budget();
  try {
    const { history, format } = await readHistoryFile(file, options);
    const verdicts = judge(history, options.timeLimitMs === undefined ? {} : { timeLimitMs: options.timeLimitMs });
    const valid = combine(verdicts);
    const failed = verdicts.find((verdict) => verdict.valid === false);
    const why = valid === "unknown" ? verdicts.find((verdict) => verdict.valid === "unknown")?.why : undefined;
    const anomalies = verdicts.flatMap((verdict) =>
      verdict.valid === false
        ? verdict.findings.map(({ kind, message, operations }) => ({
            checker: verdict.checker,
            kind,
            message,
            operations,
          }))
        : [],
    );
    return {
      file,
      valid,
      model: history.model,
      format,
      operations: history.operations.length,
      seconds: budget.elapsedMs / 1000,
      ...(why === undefined ? {} : { why }),
      ...(anomalies.length === 0 ? {} : { anomalies }),
      ...(failed?.proof === undefined ? {} : { counterexample: failed.proof }),
      verdicts,
    };
  } catch (error) {
    return { file, valid: null, seconds: budget.elapsedMs / 1000, error: explain(error) };
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such history; give a history file or a run directory with a history.jsonl",
  EACCES: "it may not be read; check its permissions",
  EISDIR: "it is a directory; give a history file or a run directory with a history.jsonl",
};

/** One sentence, whatever went wrong. What is neither the file's nor the file system's fault is a bug of ours and is thrown on. */
function explain(error: unknown): string {
  if (error instanceof MalformedHistory) return error.message;
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (typeof code === "string") return FILE_ERRORS[code] ?? (error as Error).message;
  throw error;
}
