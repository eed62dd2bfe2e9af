import { Worker } from "node:worker_threads";
import type { Verdict } from "knossos-ts";
import type { SuiteVerdict } from "../harness/runner/trial.ts";
import { suiteVerdict } from "../harness/runner/trial.ts";
import type { Suite } from "../harness/suite.ts";
import type { Clock, DurationMs } from "../seams/clock.ts";
import { entryUrl } from "../seams/node/entry.ts";

/** What the worker is given. */
export interface JudgeRequest {
  readonly historyFile: string;
  readonly suites: readonly string[];
  readonly timeLimitMs: DurationMs;
}

/** What the worker answers, once: the verdicts of each suite, in the order asked for. */
export type JudgeAnswer = readonly (readonly Verdict[])[];

export interface JudgeOptions {
  readonly clock: Clock;
  readonly timeLimitMs: DurationMs;
}

/** Past its own limit a checker gets this long to come back, then the worker is ended. */
const GRACE_MS = 10_000;

/**
 * Judges a recorded history for each suite, in a worker: this thread stays free to hear Ctrl-C.
 * A judgement that does not come (time, memory, an unreadable history) is unknown with the reason, never an error.
 */
export async function judgeHistory(
  historyFile: string,
  suites: readonly Suite[],
  options: JudgeOptions,
): Promise<readonly SuiteVerdict[]> {
  const request: JudgeRequest = {
    historyFile,
    suites: suites.map((suite) => suite.name),
    timeLimitMs: options.timeLimitMs,
  };
  let answer: JudgeAnswer;
  try {
    answer = await ask(request, options);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    answer = suites.map((suite) => [{ valid: "unknown", checker: suite.name, findings: [], why, stats: {} }]);
  }
  return suites.map((suite, index) => suiteVerdict(suite, answer[index] ?? []));
}

async function ask(request: JudgeRequest, options: JudgeOptions): Promise<JudgeAnswer> {
  const worker = new Worker(entryUrl(import.meta.url, "./judge-worker"), { workerData: request });
  const timer = new AbortController();
  try {
    return await new Promise<JudgeAnswer>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the checker ended without a verdict (exit code ${code})`)));
      options.clock.sleep(request.timeLimitMs + GRACE_MS, timer.signal).then(
        () => reject(new Error(`no verdict within ${request.timeLimitMs / 1000} s`)),
        () => undefined,
      );
    });
  } finally {
    timer.abort();
    await worker.terminate();
  }
}
