import { isUsageError } from "../harness/errors.ts";

/** Ends the process once what was written to stdout and stderr has left it. */
export function exit(code: number): void {
  process.exitCode = code;
  // A pipe's writes are asynchronous: process.exit would cut them off. Handles that are still open must not keep us, either.
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

/** Says in one sentence why a command failed and returns its exit code. */
export function report(error: unknown): 2 {
  if (process.env["SEATRIAL_DEBUG"] !== undefined && error instanceof Error) {
    process.stderr.write(`${error.stack ?? error.message}\n`);
  } else {
    process.stderr.write(`seatrial: ${sentence(error)}\n`);
  }
  return 2;
}

const DISK_FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

function sentence(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ").trim();
  if (isUsageError(error) || (error instanceof Error && error.name === "RunDirectoryFailed")) return message;
  if (error instanceof Error && "code" in error && DISK_FULL.has(error.code)) {
    return `a file cannot be written (${message}); make room, or give --out a folder with room.`;
  }
  return `${message} (a fault of seatrial's own: SEATRIAL_DEBUG=1 shows where)`;
}
