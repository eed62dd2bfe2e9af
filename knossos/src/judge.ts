import { MalformedHistory } from "./fold.ts";
import type { LinearizabilityOptions } from "./engine/linearizability.ts";
import { checkLinearizable } from "./engine/linearizability.ts";
import { checkEtcd } from "./etcd/check.ts";
import type { History } from "./history.ts";
import { casRegister, register } from "./models/register.ts";
import { counter } from "./models/counter.ts";
import { kv } from "./models/kv.ts";
import { multiRegister } from "./models/multi-register.ts";
import type { Verdict } from "./verdict.ts";

type Judge = (history: History, options: LinearizabilityOptions) => Verdict[];

const JUDGES: Readonly<Record<string, Judge>> = {
  register: (history, options) => [checkLinearizable(history, register, options)],
  "cas-register": (history, options) => [checkLinearizable(history, casRegister, options)],
  "multi-register": (history, options) => [checkLinearizable(history, multiRegister, options)],
  kv: (history, options) => [checkLinearizable(history, kv, options)],
  counter: (history, options) => [checkLinearizable(history, counter, options)],
  etcd: (history, options) => checkEtcd(history, options),
};

/** Models that `judge` knows by name. */
export const MODELS: readonly string[] = Object.keys(JUDGES);

/** Judges a history by the model it names. Throws MalformedHistory if there is no such model or the operations are not of it. */
export function judge(history: History, options: LinearizabilityOptions = {}): Verdict[] {
  const judgeOf = Object.hasOwn(JUDGES, history.model) ? JUDGES[history.model] : undefined;
  if (judgeOf === undefined)
    throw new MalformedHistory(`model ${JSON.stringify(history.model)} is not known; one of ${MODELS.join(", ")} is`);
  checkShapes(history);
  return judgeOf(history, options);
}

const OPERATIONS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  register: { read: [], write: ["value"] },
  "cas-register": { read: [], write: ["value"], cas: ["from", "to"] },
  "multi-register": { txn: ["steps"] },
  kv: { get: ["key"], put: ["key", "value"], append: ["key", "value"] },
  counter: { read: [], add: ["value"] },
};

/** Histories of our own format come as their writers made them. */
function checkShapes(history: History): void {
  const known = OPERATIONS[history.model];
  if (known === undefined) return;
  for (const { op, input } of history.operations) {
    const record = (typeof input === "object" && input !== null ? input : {}) as { readonly [key: string]: unknown };
    const f = record["f"];
    const fields = typeof f === "string" && Object.hasOwn(known, f) ? known[f] : undefined;
    const missing = fields?.find((field) => record[field] === undefined);
    if (fields === undefined || missing !== undefined) {
      const wrong = fields === undefined ? `f ${JSON.stringify(f)}` : `no ${missing}`;
      throw new MalformedHistory(
        `operation ${op} has ${wrong}, but the model is ${history.model}; it needs one of ${Object.entries(known)
          .map(([name, needs]) => [name, ...needs].join(" "))
          .join(", ")}`,
      );
    }
  }
}
