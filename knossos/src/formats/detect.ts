import { MalformedHistory, parseHistoryLines } from "../fold.ts";
import type { History } from "../history.ts";
import type { Json } from "../json.ts";
import { parseEdn, parseElleJson, parseJepsenLog, parsePorcupineKv } from "./jepsen.ts";

export const FORMATS = ["jsonl", "edn", "jepsen-log", "porcupine-kv", "elle-json"] as const;
export type Format = (typeof FORMATS)[number];

export interface ReadOptions {
  /** Detected if absent. */
  readonly format?: string;
  /** From the history or its format if absent. */
  readonly model?: string;
  readonly initial?: Json;
}

export function asFormat(name: string): Format {
  const format = FORMATS.find((one) => one === name);
  if (format === undefined) throw new MalformedHistory(`format ${name} is not known; one of ${FORMATS.join(", ")} is`);
  return format;
}

/** Told by the first characters that are not space or comment. */
export function detectFormat(beginning: string): Format {
  const text = beginning.replace(/^(?:\s|;[^\n]*(?:\n|$))+/, "");
  if (/^\{\s*"/.test(text)) return "jsonl";
  if (/^\[\s*\{\s*"/.test(text) || /^\[\s*\]/.test(text)) return "elle-json";
  if (/^(INFO|WARN|ERROR)\s/.test(text)) return "jepsen-log";
  const first = text.slice(0, text.indexOf("}") + 1);
  if (text.startsWith("{") && /:key\s/.test(first)) return "porcupine-kv";
  if (/^[[({]|^#/.test(text)) return "edn";
  throw new MalformedHistory(
    `the format cannot be told from ${JSON.stringify(text.slice(0, 40))}; name it, one of ${FORMATS.join(", ")}`,
  );
}

/** The model that the operations speak of, where none is named. */
function guessModel(text: string): string {
  const names = new Set([...text.matchAll(/(?::f\s+:|"f"\s*:\s*":?)([a-z-]+)/g)].map((match) => match[1]));
  if (names.has("cas")) return "cas-register";
  if (names.has("add")) return "counter";
  if (names.has("txn")) return "multi-register";
  if (names.has("write")) return "cas-register";
  throw new MalformedHistory(`the model cannot be told from the operations (${[...names].join(", ")}); name it`);
}

/** Reads a whole history. Throws MalformedHistory: what is wrong, where, what would be right. */
export function parseHistory(
  text: string,
  options: ReadOptions = {},
): { readonly history: History; readonly format: Format } {
  const format = options.format === undefined ? detectFormat(text) : asFormat(options.format);
  return { history: parseAs(text, format, options), format };
}

function parseAs(text: string, format: Format, options: ReadOptions): History {
  switch (format) {
    case "jsonl":
      return withOptions(parseHistoryLines(text.split("\n")), options);
    case "jepsen-log":
      return withOptions(parseJepsenLog(text, options.initial), options);
    case "porcupine-kv":
      return withOptions(parsePorcupineKv(text, options.initial), options);
    case "edn":
      return parseEdn(text, options.model ?? guessModel(text), options.initial);
    case "elle-json":
      return parseElleJson(text, options.model ?? guessModel(text), options.initial);
  }
}

export function withOptions(history: History, options: ReadOptions): History {
  return {
    ...history,
    ...(options.model === undefined ? {} : { model: options.model }),
    ...(options.initial === undefined ? {} : { initial: options.initial }),
  };
}
