import { MalformedHistory } from "../fold.ts";
import type { History } from "../history.ts";
import type { Json } from "../json.ts";
import type { Edn } from "./edn.ts";
import { readEdn } from "./edn.ts";
import type { Reading, Recorded } from "./recorded.ts";
import { pairUp, readingOf } from "./recorded.ts";

const TYPES = ["invoke", "ok", "fail", "info"];

/** Jepsen and Knossos operation maps: one vector, one list, or one map a line. A failed operation asserts nothing, nor does a read of nil. */
export function parseEdn(text: string, model: string, initial?: Json): History {
  return pairUp(ednRecords(text), model, initial, readingOf(model, true));
}

/** Porcupine's kv files: the same maps with :key, all strings; a get of nil saw the empty string. */
export function parsePorcupineKv(text: string, initial?: Json): History {
  const read = readingOf("kv", false);
  return pairUp(ednRecords(text), "kv", initial, (invoke, end) => {
    const reading = read(invoke, end);
    return reading.output === null ? { ...reading, output: "" } : reading;
  });
}

/** Elle's JSON: an array of the same maps. `f` may be absent: then it is a transaction. */
export function parseElleJson(text: string, model: string, initial?: Json): History {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new MalformedHistory(`not JSON (${(error as Error).message}); elle-json is one array of operations`);
  }
  if (!Array.isArray(parsed)) throw new MalformedHistory("not an array; elle-json is one array of operations");
  return pairUp(jsonRecords(parsed), model, initial, readingOf(model, true));
}

function* jsonRecords(values: readonly unknown[]): Generator<Recorded> {
  let place = 0;
  for (const value of values) {
    place++;
    const record = recordOf(value as Edn, place, `element ${place}`);
    if (record !== undefined) yield record;
  }
}

function* ednRecords(text: string): Generator<Recorded> {
  for (const { value, line } of readEdn(text)) {
    const record = recordOf(value, line, "an operation");
    if (record !== undefined) yield record;
  }
}

/** undefined: not a client's operation (the nemesis' and its like have no number as process). */
function recordOf(value: Edn, line: number, what: string): Recorded | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new MalformedHistory(
      `${what} is ${JSON.stringify(value)}; a map with process, type, f and value is needed`,
      line,
    );
  const map = value as { readonly [key: string]: Edn };
  const process = map["process"];
  if (process === undefined || !TYPES.includes(String(map["type"])))
    throw new MalformedHistory(
      `${what} has process ${JSON.stringify(process ?? null)} and type ${JSON.stringify(map["type"] ?? null)}; a number, and one of ${TYPES.join(", ")} are needed`,
      line,
    );
  if (typeof process !== "number") return undefined;
  const key = map["key"];
  return {
    process,
    type: map["type"] as Recorded["type"],
    f: typeof map["f"] === "string" ? map["f"] : "txn",
    value: (map["value"] ?? null) as Json,
    ...(key === undefined || key === null ? {} : { key: String(key) }),
    line,
  };
}

const LOG_LINE = /^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(invoke|ok|fail|info)\s+:([a-z-]+)\s*(.*)$/;

/**
 * Jepsen's log of an early etcd, as Porcupine carries it: one register. A swap that failed was an observation (the register did not hold
 * the old value), as was a read of nil; a read that timed out is dropped.
 */
export function parseJepsenLog(text: string, initial?: Json): History {
  const read = readingOf("cas-register", false);
  return pairUp(logRecords(text), "cas-register", initial, (invoke, end): Reading => {
    if (end?.type === "fail" && invoke.f === "cas" && end.value !== TIMED_OUT)
      return { ...read(invoke, undefined), output: false, outcome: "ok" };
    return read(invoke, end);
  });
}

const TIMED_OUT = "timed-out";

function* logRecords(text: string): Generator<Recorded> {
  let number = 0;
  for (const line of text.split("\n")) {
    number++;
    if (line.trim() === "") continue;
    const match = LOG_LINE.exec(line.trimEnd());
    if (match === null) {
      // The nemesis and the framework log between the operations.
      if (/^(INFO|WARN|ERROR)\s/.test(line)) continue;
      throw new MalformedHistory(
        `${JSON.stringify(line.slice(0, 60))} is not a log line; "INFO  jepsen.util - PROCESS :TYPE :F VALUE" is needed`,
        number,
      );
    }
    const [, process, type, f, rest] = match;
    const [form] = [...readEdn(`{v ${rest === "" ? "nil" : (rest as string)}}`)];
    yield {
      process: Number(process),
      type: type as Recorded["type"],
      f: f as string,
      value: (form?.value as { readonly v?: Json } | undefined)?.v ?? null,
      line: number,
    };
  }
}
