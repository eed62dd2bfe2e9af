import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../seams/node/clock.ts";
import { isAlive, readProcessJournal, type RecordedProcess } from "../harness/targets/process-journal.ts";

// For the tests that start the command as a user does.

const SEATRIAL = join(import.meta.dirname, "../bin/seatrial");

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function seatrial(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(SEATRIAL, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, CI: "true" } });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const ended = new Promise<Ended>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { child, ended };
}

/** The run's processes once its load is under way. */
export async function underLoad(out: string): Promise<readonly RecordedProcess[]> {
  const history = join(out, "latest", "history.jsonl");
  for (;;) {
    if (existsSync(history) && readFileSync(history, "utf8").split("\n").length > 50)
      return readProcessJournal(join(out, "latest"));
    await systemClock.sleep(50);
  }
}

/** SIGKILL was sent; the kernel takes its moment. */
export async function survivorsOf(processes: readonly RecordedProcess[]): Promise<readonly RecordedProcess[]> {
  for (let looks = 0; looks < 40 && processes.some(isAlive); looks++) await systemClock.sleep(50);
  return processes.filter(isAlive);
}
