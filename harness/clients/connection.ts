import {
  type ClientDuplexStream,
  type ClientOptions,
  Client as GrpcClient,
  credentials,
  connectivityState,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { CallFailure } from "./outcome.ts";

/** A call ended otherwise than with an answer. */
export class CallFailed extends Error implements CallFailure {
  override readonly name = "CallFailed";
  readonly code: string;
  readonly connected: boolean;
  constructor(failure: CallFailure) {
    super(failure.message);
    this.code = failure.code;
    this.connected = failure.connected;
  }
}

const channelOptions: ClientOptions = {
  // One attempt, one outcome: without this grpc-js sends a refused stream again by itself.
  "grpc.enable_retries": 0,
  // Each logical process has a connection of its own; grpc-js shares them between channels otherwise.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.initial_reconnect_backoff_ms": 50,
  "grpc.max_reconnect_backoff_ms": 500,
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
};

/** One channel to one endpoint, raw bytes in and out, and a witness of whether it was ever connected. */
export class Connection {
  readonly #client: GrpcClient;
  readonly #calls = new Set<{ cancel(): void }>();
  #closed = false;
  /** How often the channel was seen to become READY. */
  #connections = 0;
  #ready = false;

  constructor(address: string) {
    this.#client = new GrpcClient(address, credentials.createInsecure(), channelOptions);
    this.#watchState();
  }

  /** Rejects with CallFailed alone. Aborting the signal cancels the call: with a reason that is DEADLINE_EXCEEDED, without one CANCELLED. */
  unary(path: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const refused = this.#refusal(signal);
      if (refused !== undefined) {
        reject(refused);
        return;
      }
      const wasConnected = this.#witness();
      const call = this.#client.makeUnaryRequest(
        path,
        asIs,
        asIs,
        Buffer.from(request),
        new Metadata(),
        {},
        (error, answer) => {
          signal.removeEventListener("abort", onAbort);
          this.#calls.delete(call);
          if (error !== null) reject(failureOf(error, signal, wasConnected(call)));
          else if (answer === undefined)
            reject(
              new CallFailed({
                code: "UNREADABLE_ANSWER",
                message: "the call ended well but without an answer",
                connected: true,
              }),
            );
          else resolve(answer);
        },
      );
      const onAbort = () => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#calls.add(call);
    });
  }

  /**
   * Opens a bidirectional stream, sends one message and yields what comes. Returns when the server ends the stream with OK, throws CallFailed
   * otherwise (when the signal is aborted too). Leaving the loop cancels the call.
   */
  async *stream(path: string, request: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const refused = this.#refusal(signal);
    if (refused !== undefined) throw refused;
    const wasConnected = this.#witness();
    const call: ClientDuplexStream<Buffer, Buffer> = this.#client.makeBidiStreamRequest(
      path,
      asIs,
      asIs,
      new Metadata(),
      {},
    );
    let ended: ServiceError | undefined;
    // grpc-js emits the cancellation that we cause below as an error too; unheard it would end the process.
    call.on("error", (error: ServiceError) => {
      ended = error;
    });
    const onAbort = () => call.cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    this.#calls.add(call);
    try {
      call.write(Buffer.from(request));
      for await (const message of call as AsyncIterable<Buffer>) yield message;
      if (ended !== undefined) throw ended;
    } catch (error) {
      throw isServiceError(error) ? failureOf(error, signal, wasConnected(call)) : error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#calls.delete(call);
      call.cancel();
    }
  }

  /** Cancels what is under way and closes the connection. */
  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.cancel();
    this.#client.close();
  }

  #refusal(signal: AbortSignal): CallFailed | undefined {
    if (this.#closed)
      return new CallFailed({
        code: "NOT_SENT",
        message: "the client was closed before the request left",
        connected: false,
      });
    if (signal.aborted)
      return new CallFailed({
        code: "NOT_SENT",
        message: `the operation was given up before the request left (${reasonOf(signal)})`,
        connected: false,
      });
    return undefined;
  }

  /**
   * Asked at the end of a call: can the request have reached a connection? Two witnesses must both say no: the channel was not READY at any
   * moment since the call began, and the call was never handed to a transport (grpc-js then still names the channel's target as its peer).
   */
  #witness(): (call: { getPeer(): string }) => boolean {
    const readyAtStart = this.#ready;
    const connectionsAtStart = this.#connections;
    return (call) =>
      readyAtStart ||
      this.#connections !== connectionsAtStart ||
      call.getPeer() !== this.#client.getChannel().getTarget();
  }

  #watchState(): void {
    if (this.#closed) return;
    const channel = this.#client.getChannel();
    const state = channel.getConnectivityState(false);
    if (state === connectivityState.READY && !this.#ready) this.#connections += 1;
    this.#ready = state === connectivityState.READY;
    if (state === connectivityState.SHUTDOWN) return;
    channel.watchConnectivityState(state, Infinity, () => this.#watchState());
  }
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function failureOf(error: ServiceError, signal: AbortSignal, connected: boolean): CallFailed {
  if (error.code === status.CANCELLED && signal.aborted) {
    return new CallFailed({
      code: isPlainAbort(signal.reason) ? "CANCELLED" : "DEADLINE_EXCEEDED",
      message: reasonOf(signal),
      connected,
    });
  }
  return new CallFailed({ code: status[error.code] ?? String(error.code), message: error.details, connected });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number" && "details" in error;
}

/** `abort()` without a reason, as one who has lost interest does; a deadline says how long it waited. */
function isPlainAbort(reason: unknown): boolean {
  return reason instanceof Error && reason.name === "AbortError";
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}
