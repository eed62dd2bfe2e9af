import type { History, HistoryEvent, Operation, Stream, StreamMessage } from "./history.ts";
import { HISTORY_FORMAT } from "./history.ts";

/** A history that cannot be read: what is wrong, where, what would be right. One sentence, fit for a user. */
export class MalformedHistory extends Error {
  override readonly name = "MalformedHistory";
  /** 1-based, where there is one. */
  readonly line: number | undefined;
  constructor(message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
    this.line = line;
  }
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Folds an event log into operations and streams. What never completed is info. Throws MalformedHistory. */
export function foldHistory(events: Iterable<HistoryEvent>): History {
  const folder = new HistoryFolder();
  for (const event of events) folder.add(event);
  return folder.finish();
}

export class HistoryFolder {
  #start: Extract<HistoryEvent, { type: "start" }> | undefined;
  readonly #operations = new Map<number, Draft<Operation>>();
  readonly #completed = new Set<number>();
  readonly #streams = new Map<number, Draft<Stream> & { messages: StreamMessage[] }>();
  readonly #environment: Extract<HistoryEvent, { type: "env" }>[] = [];
  readonly #faults: Extract<HistoryEvent, { type: "fault" | "heal" }>[] = [];

  /** `line` is only for the error message. */
  add(event: HistoryEvent, line?: number): void {
    switch (event.type) {
      case "start":
        if (this.#start !== undefined)
          throw new MalformedHistory("a second start event; a history has one, first", line);
        if (event.format !== HISTORY_FORMAT)
          throw new MalformedHistory(
            `history format ${String(event.format)} is not known; this reader knows ${String(HISTORY_FORMAT)}`,
            line,
          );
        this.#start = event;
        return;
      case "invoke":
        return this.#invoke(event, line);
      case "ok":
      case "fail":
      case "info":
        return this.#complete(event, line);
      case "open":
      case "message":
      case "close":
        return this.#stream(event, line);
      case "env":
        this.#environment.push(event);
        return;
      case "fault":
      case "heal":
        this.#faults.push(event);
    }
  }

  #invoke(event: Extract<HistoryEvent, { type: "invoke" }>, line: number | undefined): void {
    if (this.#operations.has(event.op))
      throw new MalformedHistory(`operation ${event.op} is invoked twice; every op number is used once`, line);
    this.#operations.set(event.op, {
      op: event.op,
      process: event.process,
      ...(event.node === undefined ? {} : { node: event.node }),
      input: event.input,
      outcome: "info",
      invoked: event.time,
    });
  }

  #complete(event: Extract<HistoryEvent, { type: "ok" | "fail" | "info" }>, line: number | undefined): void {
    const operation = this.#operations.get(event.op);
    if (operation === undefined)
      throw new MalformedHistory(
        `operation ${event.op} ends with ${event.type} but was never invoked; its invoke line must come first`,
        line,
      );
    if (this.#completed.has(event.op))
      throw new MalformedHistory(`operation ${event.op} ends twice; an operation has one completion`, line);
    if (event.time < operation.invoked)
      throw new MalformedHistory(
        `operation ${event.op} ends at ${event.time}, before its invocation at ${operation.invoked}; times are of one monotonic clock`,
        line,
      );
    this.#completed.add(event.op);
    operation.outcome = event.type;
    if (event.type === "info") operation.reported = event.time;
    else operation.returned = event.time;
    if (event.type !== "ok") operation.error = event.error;
    if (event.output !== undefined) operation.output = event.output;
  }

  #stream(event: Extract<HistoryEvent, { type: "open" | "message" | "close" }>, line: number | undefined): void {
    if (event.type === "open") {
      if (this.#streams.has(event.stream))
        throw new MalformedHistory(`stream ${event.stream} is opened twice; every stream number is used once`, line);
      this.#streams.set(event.stream, {
        stream: event.stream,
        process: event.process,
        ...(event.node === undefined ? {} : { node: event.node }),
        input: event.input,
        opened: event.time,
        messages: [],
      });
      return;
    }
    const stream = this.#streams.get(event.stream);
    if (stream === undefined)
      throw new MalformedHistory(
        `stream ${event.stream} has a ${event.type} but was never opened; its open line must come first`,
        line,
      );
    if (event.type === "message") {
      stream.messages.push({ time: event.time, message: event.message });
    } else {
      stream.closed = event.time;
      stream.closeReason = event.reason;
    }
  }

  finish(): History {
    if (this.#start === undefined)
      throw new MalformedHistory('no start event; the first line must be {"type":"start","format":1,...}');
    return {
      model: this.#start.model,
      ...(this.#start.initial === undefined ? {} : { initial: this.#start.initial }),
      foreignWriters: this.#start.foreignWriters,
      operations: [...this.#operations.values()].sort((a, b) => a.invoked - b.invoked),
      streams: [...this.#streams.values()],
      environment: this.#environment,
      faults: this.#faults,
    };
  }
}

/** Folds the lines of a `history.jsonl`. A torn last line is dropped; anything else malformed is named with its number. */
export function parseHistoryLines(lines: Iterable<string>): History {
  const reader = new HistoryLineReader();
  for (const line of lines) reader.add(line);
  return reader.finish();
}

/** The same, for those who get the lines one by one. */
export class HistoryLineReader {
  readonly #folder = new HistoryFolder();
  #line = 0;
  #torn: MalformedHistory | undefined;

  add(text: string): void {
    this.#line++;
    if (text.trim() === "") return;
    if (this.#torn !== undefined) throw this.#torn;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // Only the last line may be torn (the writer died in it); whether it is the last shows with the next.
      this.#torn = new MalformedHistory(
        `not a JSON object; each line of a history is one event such as {"type":"invoke",...}`,
        this.#line,
      );
      return;
    }
    this.#folder.add(asEvent(value, this.#line), this.#line);
  }

  finish(): History {
    if (this.#torn !== undefined && this.#line === 1) throw this.#torn;
    return this.#folder.finish();
  }
}

/** Which fields each event has, and of what type. `?` marks those that may be absent. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  start: { format: "number", model: "string", foreignWriters: "boolean" },
  invoke: { op: "number", process: "number", node: "string?", time: "number", input: "json" },
  ok: { op: "number", process: "number", time: "number", output: "json" },
  fail: { op: "number", process: "number", time: "number", error: "object" },
  info: { op: "number", process: "number", time: "number", error: "object" },
  open: { stream: "number", process: "number", node: "string?", time: "number", input: "object" },
  message: { stream: "number", time: "number", message: "object" },
  close: { stream: "number", time: "number", reason: "string" },
  env: { time: "number", what: "string" },
  fault: { time: "number", fault: "string", on: "object", id: "number" },
  heal: { time: "number", fault: "string", on: "object", id: "number" },
};

function asEvent(value: unknown, line: number): HistoryEvent {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new MalformedHistory("not a JSON object; each line of a history is one event", line);
  const record = value as Record<string, unknown>;
  const type = record["type"];
  const fields = typeof type === "string" && Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined;
  if (fields === undefined)
    throw new MalformedHistory(
      `event type ${JSON.stringify(type)} is not known; known are ${Object.keys(FIELDS).join(", ")}`,
      line,
    );
  for (const name in fields) {
    const wanted = fields[name] as string;
    const found = record[name];
    if (wanted.endsWith("?") && found === undefined) continue;
    if (!hasType(found, wanted.replace("?", "")))
      throw new MalformedHistory(
        `${String(type)} event with ${name} ${found === undefined ? "absent" : JSON.stringify(found)}; a ${wanted.replace("?", "")} is needed there`,
        line,
      );
  }
  return record as HistoryEvent;
}

function hasType(value: unknown, type: string): boolean {
  if (type === "json") return value !== undefined;
  if (type === "object") return typeof value === "object" && value !== null;
  if (type === "number") return typeof value === "number" && Number.isFinite(value);
  return typeof value === type;
}
