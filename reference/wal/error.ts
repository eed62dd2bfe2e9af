export type WalErrorCode =
  /** A record's checksum or shape is wrong where no torn write can explain it. */
  | "WAL_DAMAGED"
  /** The log is another member's or another cluster's. */
  | "WAL_FOREIGN"
  /** No log, no segment, or no snapshot record to start from. */
  | "WAL_MISSING"
  /** A log is there already. */
  | "WAL_EXISTS"
  /** The log was closed. */
  | "WAL_CLOSED";

/** A log that must not be used as it is; the message is one sentence for the operator. */
export class WalError extends Error {
  override readonly name = "WalError";
  readonly code: WalErrorCode;

  constructor(code: WalErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
