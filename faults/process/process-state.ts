import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { processStartTime } from "../../harness/targets/process-identity.ts";

/** A process that is meant and no later one with its pid. `started` is the kernel's word for when (field 22 of /proc/PID/stat). */
export type Identity = { readonly pid: number; readonly started: string };

/** Throws if there is no such process. */
export function identify(pid: number | undefined, node: string): Identity {
  const started = pid === undefined ? undefined : processStartTime(pid);
  if (pid === undefined || started === undefined) throw new Error(`${node} is not running`);
  return { pid, started };
}

export function isThere({ pid, started }: Identity): boolean {
  return processStartTime(pid) === started;
}

/** The scheduler's letter for it (T: stopped by a signal); undefined once it is gone. */
export function stateOf(identity: Identity): string | undefined {
  if (!isThere(identity)) return undefined;
  try {
    if (process.platform !== "linux")
      return execFileSync("ps", ["-o", "state=", "-p", String(identity.pid)], { encoding: "utf8" })
        .trim()
        .charAt(0);
    const stat = readFileSync(`/proc/${identity.pid}/stat`, "utf8");
    return stat.charAt(stat.lastIndexOf(")") + 2);
  } catch {
    // It ended between the two looks.
    return undefined;
  }
}

/** false: it was gone already. Never reaches a later process that was given the same pid. */
export function signalTo(identity: Identity, signal: NodeJS.Signals): boolean {
  if (!isThere(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}
