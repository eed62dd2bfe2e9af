/**
 * The person in front of the screen can put this right: a flag, an address, a missing program, an unreadable file.
 * `message` is one sentence: what is wrong, where, what would be right. The command prints it without a stack and ends with exit code 2.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "USAGE";
  readonly exitCode = 2;
}

/** By its tag, so that an error from another copy of the module counts too. */
export function isUsageError(error: unknown): error is UsageError {
  return error instanceof Error && "code" in error && error.code === "USAGE";
}
