import { isUsageError } from "../harness/errors.ts";

/** Ends the process once what was written to stdout and stderr has left it. */
export function exit(code: number): void {
  process.exitCode = code;
  // A pipe's writes are asynchronous: process.exit would cut them off. Handles that are still open must not keep us, either.
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

/**
 * Says in one sentence why a command failed and returns its exit code: 2 for what the user can put right,
 * 3 for a fault of ours, which leaves everything undecided. Never 1: that is a proven violation.
 */
export function report(error: unknown): 2 | 3 {
  if (process.env["SEATRIAL_DEBUG"] !== undefined && error instanceof Error) {
    process.stderr.write(`${error.stack ?? error.message}\n`);
  } else {
    process.stderr.write(`seatrial: ${sentence(error)}\n`);
  }
  return isUsers(error) ? 2 : 3;
}

const DISK_FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

/** A flag, an address, a folder: something outside this program. */
function isUsers(error: unknown): boolean {
  if (isUsageError(error) || (error instanceof Error && error.name === "RunDirectoryFailed")) return true;
  return error instanceof Error && "code" in error && DISK_FULL.has(error.code);
}

function sentence(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ").trim();
  if (error instanceof Error && "code" in error && DISK_FULL.has(error.code)) {
    return `a file cannot be written (${message}); make room, or give --out a folder with room.`;
  }
  if (isUsers(error)) return message;
  return `${message} (a fault of seatrial's own: SEATRIAL_DEBUG=1 shows where)`;
}
