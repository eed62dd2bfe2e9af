import { MalformedHistory } from "../fold.ts";
import type { History, Operation } from "../history.ts";
import type { Json } from "../json.ts";

/** One line of a history as Jepsen and its kin write them: an operation begins, or ends. */
export interface Recorded {
  readonly process: number;
  readonly type: "invoke" | "ok" | "fail" | "info";
  readonly f: string;
  readonly value: Json;
  readonly key?: string;
  readonly line: number;
}

/** What a format makes of a begun operation. */
export interface Reading {
  readonly input: Json;
  readonly output?: Json;
  readonly outcome: Operation["outcome"];
}

/**
 * Pairs beginnings with ends by process; the place of a line is its time. What never ends, or is left open by a process that goes on
 * to something else, is in doubt.
 */
export function pairUp(
  records: Iterable<Recorded>,
  model: string,
  initial: Json | undefined,
  read: (invoke: Recorded, end: Recorded | undefined) => Reading,
): History {
  const open = new Map<number, { readonly invoke: Recorded; readonly op: number; readonly time: number }>();
  const operations: Operation[] = [];
  let time = 0;
  let count = 0;
  const close = (
    begun: { readonly invoke: Recorded; readonly op: number; readonly time: number },
    end: Recorded | undefined,
  ): void => {
    const reading = read(begun.invoke, end);
    const ended = reading.outcome === "info" ? {} : { returned: time };
    operations.push({
      op: begun.op,
      process: begun.invoke.process,
      invoked: begun.time,
      input: reading.input,
      outcome: reading.outcome,
      ...ended,
      ...(reading.output === undefined ? {} : { output: reading.output }),
    });
  };
  for (const record of records) {
    time++;
    const begun = open.get(record.process);
    if (record.type === "invoke") {
      if (begun !== undefined) close(begun, undefined);
      open.set(record.process, { invoke: record, op: count++, time });
    } else if (begun === undefined) {
      throw new MalformedHistory(
        `process ${record.process} ends a ${record.f} (${record.type}) that it has not begun; its invoke must come first`,
        record.line,
      );
    } else {
      open.delete(record.process);
      close(begun, record);
    }
  }
  for (const begun of open.values()) close(begun, undefined);
  operations.sort((a, b) => a.invoked - b.invoked);
  return {
    model,
    ...(initial === undefined ? {} : { initial }),
    foreignWriters: false,
    operations,
    streams: [],
    environment: [],
    faults: [],
  };
}

/** Reads register, cas-register, multi-register, kv and counter operations. `null` as a read's answer asserts nothing where `nilIsUnknown`. */
export function readingOf(
  model: string,
  nilIsUnknown: boolean,
): (invoke: Recorded, end: Recorded | undefined) => Reading {
  return (invoke, end) => {
    const outcome = end === undefined || end.type === "invoke" ? "info" : end.type;
    const input = inputOf(model, invoke, outcome === "ok" ? (end?.value ?? null) : null);
    if (outcome !== "ok" || end === undefined) return { input, outcome };
    const output = outputOf(invoke.f, end.value);
    return output === undefined || (nilIsUnknown && output === null) ? { input, outcome } : { input, output, outcome };
  };
}

/** The input of an operation in the terms of the model. Some histories say what was written only at the end. */
function inputOf(model: string, invoke: Recorded, told: Json): Json {
  const { f, line } = invoke;
  const value = invoke.value ?? told;
  const wrong = (right: string): MalformedHistory =>
    new MalformedHistory(
      `:${f} with value ${JSON.stringify(value)} is not an operation of ${model}; ${right} is needed`,
      line,
    );
  switch (model) {
    case "register":
    case "cas-register":
      if (f === "read") return { f };
      if (f === "write") return { f, value };
      if (f === "cas" && model === "cas-register") {
        if (!Array.isArray(value) || value.length !== 2) throw wrong("[old new]");
        return { f, from: value[0] as Json, to: value[1] as Json };
      }
      throw wrong(model === "register" ? "read or write" : "read, write or cas");
    case "kv":
      if (invoke.key === undefined) throw wrong("a :key");
      if (f === "get") return { f, key: invoke.key };
      if ((f === "put" || f === "append") && typeof value === "string") return { f, key: invoke.key, value };
      throw wrong("get, put or append of a string");
    case "counter":
      if (f === "read") return { f };
      if (f === "add" && typeof value === "number") return { f, value };
      throw wrong("read, or add of a number");
    case "multi-register":
      if (!Array.isArray(value) || !value.every(isStep))
        throw wrong("a list of [:read name nil] and [:write name value]");
      return {
        f: "txn",
        steps: (value as readonly (readonly [string, Json, Json])[]).map(([kind, name, one]) => [
          kind === "r" ? "read" : kind === "w" ? "write" : kind,
          String(name),
          one,
        ]),
      };
    default:
      throw new MalformedHistory(
        `model ${model} is not read from this format; one of register, cas-register, multi-register, kv, counter is`,
        line,
      );
  }
}

function isStep(step: Json): boolean {
  return Array.isArray(step) && step.length === 3 && ["read", "write", "r", "w"].includes(String(step[0]));
}

/** undefined: the end says nothing more than that it happened. */
function outputOf(f: string, value: Json): Json | undefined {
  if (f === "read" || f === "get") return value;
  if (f === "cas") return true;
  if (f === "txn" && Array.isArray(value))
    return (value as readonly (readonly [string, Json, Json])[]).map(([kind, name, one]) => [
      kind === "r" ? "read" : kind === "w" ? "write" : kind,
      String(name),
      one,
    ]);
  return undefined;
}
