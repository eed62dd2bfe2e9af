import type { OperationError } from "knossos-ts";

/**
 * ok: took effect, result known. fail: definitely did not take effect. info: in doubt, may take effect at any later time.
 * The table that tells them apart is `harness/clients/outcome.ts`.
 */
export type Outcome<O> =
  | { readonly type: "ok"; readonly output: O }
  | { readonly type: "fail"; readonly error: OperationError }
  | { readonly type: "info"; readonly error: OperationError };

/** One connection of one logical process to one endpoint. No hidden retry: one attempt, one outcome. Never rejects. */
export interface Client<I, O, W = never, M = never> extends AsyncDisposable {
  invoke(input: I, signal: AbortSignal): Promise<Outcome<O>>;
  /** A stream of messages (a watch). Ends by return when the server ends it, by throwing an OperationError-carrying StreamBroken otherwise. */
  open(input: W, signal: AbortSignal): AsyncIterable<M>;
}

/** Why a stream ended without the server saying so. */
export class StreamBroken extends Error {
  override readonly name = "StreamBroken";
  readonly error: OperationError;
  constructor(error: OperationError) {
    super(error.message);
    this.error = error;
  }
}
