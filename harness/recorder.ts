import type { HistoryEvent, Json, OperationError } from "knossos-ts";
import { HISTORY_FORMAT } from "knossos-ts";
import type { Clock } from "../seams/clock.ts";

/** Where history lines go. `write` returns once the operating system has the line: it outlives a killed harness. */
export interface LineSink {
  write(text: string): void;
}

/** Nothing can be recorded any more (a full disk): whatever is invoked after it would be an operation nobody can judge. */
export class RecordingFailed extends Error {
  override readonly name = "RecordingFailed";
}

export type Completion =
  | { readonly type: "ok"; readonly output: Json }
  | { readonly type: "fail" | "info"; readonly error: OperationError };

/**
 * Writes `history.jsonl`: one event a line, on one monotonic clock, in the order in which they happened.
 * `invoke` returns after the line was handed to the operating system, so the request may leave after it and never before.
 */
export class Recorder {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  readonly #origin: number;
  readonly #onFailure: (error: RecordingFailed) => void;
  #nextOp = 0;
  #nextProcess = 0;
  #nextStream = 0;
  #failure: RecordingFailed | undefined;

  /** `onFailure` is called once, when the sink first throws; every later call of the recorder throws the same error. */
  constructor(sink: LineSink, clock: Clock, onFailure: (error: RecordingFailed) => void = () => {}) {
    this.#sink = sink;
    this.#clock = clock;
    this.#origin = clock.now();
    this.#onFailure = onFailure;
  }

  get failure(): RecordingFailed | undefined {
    return this.#failure;
  }

  /** Nanoseconds since the recorder was made, which is the run's start. */
  nowNs(): number {
    return this.timeNs(this.#clock.now());
  }

  /** A reading of the run's clock as history time. */
  timeNs(instant: number): number {
    return Math.round((instant - this.#origin) * 1e6);
  }

  /** The first line. `initial` is the model's state before the first operation; absent means the model's own. */
  start(model: string, foreignWriters: boolean, initial?: Json): void {
    this.#write({
      type: "start",
      format: HISTORY_FORMAT,
      model,
      ...(initial === undefined ? {} : { initial }),
      foreignWriters,
    });
  }

  /** A process id that was never used: a client gets one, and a new one after each operation that ended in doubt. */
  newProcess(): number {
    return this.#nextProcess++;
  }

  invoke(process: number, node: string, input: Json): number {
    const op = this.#nextOp++;
    this.#write({ type: "invoke", op, process, node, time: this.nowNs(), input });
    return op;
  }

  complete(op: number, process: number, completion: Completion): void {
    const time = this.nowNs();
    if (completion.type === "ok") this.#write({ type: "ok", op, process, time, output: completion.output });
    else this.#write({ type: completion.type, op, process, time, error: completion.error });
  }

  open(process: number, node: string, input: Json): number {
    const stream = this.#nextStream++;
    this.#write({ type: "open", stream, process, node, time: this.nowNs(), input });
    return stream;
  }

  message(stream: number, message: Json): void {
    this.#write({ type: "message", stream, time: this.nowNs(), message });
  }

  close(stream: number, reason: string, error?: OperationError): void {
    this.#write({ type: "close", stream, time: this.nowNs(), reason, ...(error === undefined ? {} : { error }) });
  }

  /** What happened without a client of ours. */
  environment(what: string, details?: Json): void {
    this.#write({ type: "env", time: this.nowNs(), what, ...(details === undefined ? {} : { details }) });
  }

  fault(id: number, fault: string, on: readonly string[]): number {
    const time = this.nowNs();
    this.#write({ type: "fault", time, fault, on, id });
    return time;
  }

  heal(id: number, fault: string, on: readonly string[]): number {
    const time = this.nowNs();
    this.#write({ type: "heal", time, fault, on, id });
    return time;
  }

  #write(event: HistoryEvent): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      this.#sink.write(`${JSON.stringify(event)}\n`);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failure = new RecordingFailed(`the history can no longer be written: ${reason}`, { cause });
      this.#onFailure(this.#failure);
      throw this.#failure;
    }
  }
}
