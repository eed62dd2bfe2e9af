import type { Json } from "./json.ts";

export const HISTORY_FORMAT = 1;

/** Nanoseconds since the run's start, on one monotonic clock. Safe as a number for 104 days. */
export type Nanoseconds = number;

/** What went wrong, as the client saw it. `definite`: it certainly did not take effect. */
export interface OperationError {
  /** gRPC code name (`UNAVAILABLE`, `DEADLINE_EXCEEDED`...) or a word of the harness. */
  readonly code: string;
  readonly message: string;
  readonly definite: boolean;
}

/** One line of `history.jsonl`. The file is written while the run goes on; a torn last line is dropped by readers. */
export type HistoryEvent =
  | {
      readonly type: "start";
      readonly format: typeof HISTORY_FORMAT;
      readonly model: string;
      readonly initial?: Json;
      readonly foreignWriters: boolean;
    }
  /** Written before the request leaves. `op` is unique in the file; `process` runs one operation at a time. */
  | {
      readonly type: "invoke";
      readonly op: number;
      readonly process: number;
      readonly node?: string;
      readonly time: Nanoseconds;
      readonly input: Json;
    }
  | {
      readonly type: "ok";
      readonly op: number;
      readonly process: number;
      readonly time: Nanoseconds;
      readonly output: Json;
    }
  | {
      readonly type: "fail" | "info";
      readonly op: number;
      readonly process: number;
      readonly time: Nanoseconds;
      readonly error: OperationError;
      readonly output?: Json;
    }
  /** A stream (a watch, a keepalive) was asked for. `stream` is unique in the file. `input` is a WatchInput or KeepAliveInput. */
  | {
      readonly type: "open";
      readonly stream: number;
      readonly process: number;
      readonly node?: string;
      readonly time: Nanoseconds;
      readonly input: Json;
    }
  | { readonly type: "message"; readonly stream: number; readonly time: Nanoseconds; readonly message: Json }
  | {
      readonly type: "close";
      readonly stream: number;
      readonly time: Nanoseconds;
      readonly reason: string;
      readonly error?: OperationError;
    }
  /** What happened without a client of ours: `lease-expired`, `compaction`, `foreign-write`... */
  | { readonly type: "env"; readonly time: Nanoseconds; readonly what: string; readonly details?: Json }
  | {
      readonly type: "fault" | "heal";
      readonly time: Nanoseconds;
      readonly fault: string;
      readonly on: readonly string[];
      readonly id: number;
    };

/** An operation folded from its invocation and completion. Never completed = "info" with `returned: undefined`. */
export interface Operation<I = Json, O = Json> {
  readonly op: number;
  readonly process: number;
  readonly node?: string;
  readonly input: I;
  readonly output?: O;
  readonly outcome: "ok" | "fail" | "info";
  readonly invoked: Nanoseconds;
  /** Real-time return; undefined for info: it may take effect at any time after `invoked`, also after the end. */
  readonly returned?: Nanoseconds;
  /** When the client gave up on an info operation (its deadline, a reset). No bound on when it takes effect. */
  readonly reported?: Nanoseconds;
  readonly error?: OperationError;
}

export interface StreamMessage {
  readonly time: Nanoseconds;
  readonly message: Json;
}

export interface Stream {
  readonly stream: number;
  readonly process: number;
  readonly node?: string;
  readonly input: Json;
  readonly opened: Nanoseconds;
  readonly closed?: Nanoseconds;
  readonly closeReason?: string;
  readonly messages: readonly StreamMessage[];
}

export interface History<I = Json, O = Json> {
  readonly model: string;
  readonly initial?: Json;
  /** false: every revision is explained by an operation here or an `env` event. */
  readonly foreignWriters: boolean;
  /** In order of invocation. */
  readonly operations: readonly Operation<I, O>[];
  readonly streams: readonly Stream[];
  readonly environment: readonly Extract<HistoryEvent, { type: "env" }>[];
  readonly faults: readonly Extract<HistoryEvent, { type: "fault" | "heal" }>[];
}
