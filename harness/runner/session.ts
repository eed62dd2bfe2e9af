import type { EtcdInput, Json, WatchInput, WatchMessage } from "knossos-ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { Outcome } from "../client.ts";
import { StreamBroken } from "../client.ts";
import type { LatencySample } from "../load/latency.ts";
import type { Recorder } from "../recorder.ts";
import type { EtcdClient, RecordingSession, SessionOutcome } from "../suite.ts";

/** The deadline of an operation that names none. Long enough for an election, short enough that a pause is felt. */
const DEFAULT_TIMEOUT_MS: DurationMs = 2_000;

export interface SessionParts {
  readonly suite: string;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly connect: (node: string) => EtcdClient;
  readonly observe: (sample: LatencySample) => void;
}

/**
 * A logical client bound to one node, every invocation and stream of which is recorded.
 * After an operation in doubt its process id retires: it may still take effect, and a process runs one operation at a time.
 */
export class Session implements RecordingSession {
  readonly #parts: SessionParts;
  #node: string;
  #client: EtcdClient;
  #process: number;

  constructor(parts: SessionParts, node: string) {
    this.#parts = parts;
    this.#node = node;
    this.#client = parts.connect(node);
    this.#process = parts.recorder.newProcess();
  }

  get node(): string {
    return this.#node;
  }

  async invoke(
    input: EtcdInput,
    options: { readonly timeoutMs?: number; readonly intendedNs?: number } = {},
  ): Promise<SessionOutcome> {
    const { recorder, clock, suite, observe } = this.#parts;
    const process = this.#process;
    const op = recorder.invoke(process, this.#node, input as unknown as Json);
    const intendedNs = options.intendedNs ?? recorder.nowNs();
    const outcome = await withDeadline(clock, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, (signal) =>
      this.#client.invoke(input, signal),
    );
    if (outcome.type === "ok") {
      recorder.complete(op, process, { type: "ok", output: outcome.output as unknown as Json });
    } else {
      recorder.complete(op, process, { type: outcome.type, error: outcome.error });
      if (outcome.type === "info") this.#process = recorder.newProcess();
    }
    observe({ suite, kind: kindOf(input), outcome: outcome.type, intendedNs, returnedNs: recorder.nowNs() });
    return outcome.type === "ok"
      ? outcome
      : { type: outcome.type, code: outcome.error.code, message: outcome.error.message };
  }

  watch(
    input: WatchInput,
    signal: AbortSignal,
  ): { readonly stream: number; readonly messages: AsyncIterable<WatchMessage> } {
    const stream = this.#parts.recorder.open(this.#process, this.#node, input as unknown as Json);
    return { stream, messages: this.#recorded(stream, input, signal) };
  }

  async *#recorded(stream: number, input: WatchInput, signal: AbortSignal): AsyncGenerator<WatchMessage> {
    const { recorder } = this.#parts;
    let closed = false;
    const close = (reason: string, broken?: StreamBroken) => {
      if (!closed && recorder.failure === undefined) recorder.close(stream, reason, broken?.error);
      closed = true;
    };
    try {
      for await (const message of this.#client.open(input, signal)) {
        recorder.message(stream, message as unknown as Json);
        yield message;
      }
      close(signal.aborted ? "cancelled" : "ended");
    } catch (error) {
      if (!(error instanceof StreamBroken)) throw error;
      if (signal.aborted) close("cancelled");
      else close("broken", error);
    } finally {
      // The consumer left the loop: leaving is its way to cancel.
      close("cancelled");
    }
  }

  async moveTo(node: string): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    this.#node = node;
    this.#client = this.#parts.connect(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

/** The word under which an operation's latency is kept: what differs in cost has a name of its own. */
export function kindOf(input: EtcdInput): string {
  if (input.f !== "range") return input.f;
  if (input.serializable === true) return "range-serializable";
  return input.revision === undefined || input.revision === 0 ? "range" : "range-revision";
}

/** Aborts the call after `ms`; the client answers an abort with info for writes and fail for reads. */
async function withDeadline<O>(
  clock: Clock,
  ms: DurationMs,
  call: (signal: AbortSignal) => Promise<Outcome<O>>,
): Promise<Outcome<O>> {
  const deadline = new AbortController();
  const timer = new AbortController();
  clock.sleep(ms, timer.signal).then(
    () => deadline.abort(new DOMException(`no answer within ${ms} ms`, "TimeoutError")),
    () => undefined,
  );
  try {
    return await call(deadline.signal);
  } finally {
    timer.abort();
  }
}
