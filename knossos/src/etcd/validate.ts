import { MalformedHistory } from "../fold.ts";
import type { History, Operation, Stream } from "../history.ts";
import type { EtcdInput, EtcdOutput } from "../models/etcd-types.ts";

type Shape = Readonly<Record<string, Kind>>;
type Kind = "string" | "number" | "boolean" | "kv" | "kvs" | "compares" | "requests" | "answers" | "events" | "any";

/** Required fields; those with a trailing `?` may be absent, but not of another type. */
const INPUTS: Readonly<Record<string, Shape>> = {
  put: {
    key: "string",
    value: "string",
    "lease?": "string",
    "prevKv?": "boolean",
    "ignoreValue?": "boolean",
    "ignoreLease?": "boolean",
  },
  delete: { key: "string", "rangeEnd?": "string", "prevKv?": "boolean" },
  range: {
    key: "string",
    "rangeEnd?": "string",
    "revision?": "number",
    "limit?": "number",
    "serializable?": "boolean",
    "keysOnly?": "boolean",
    "countOnly?": "boolean",
    "sort?": "any",
  },
  txn: { compare: "compares", success: "requests", failure: "requests" },
  compact: { revision: "number" },
  "lease-grant": { id: "string", ttlSeconds: "number" },
  "lease-revoke": { id: "string" },
  "lease-time-to-live": { id: "string" },
  "lease-keepalive": { id: "string" },
};

const OUTPUTS: Readonly<Record<string, Shape>> = {
  put: { "revision?": "number", "prevKv?": "kv" },
  delete: { "revision?": "number", deleted: "number", "prevKvs?": "kvs" },
  range: { "revision?": "number", kvs: "kvs", count: "number", more: "boolean" },
  txn: { "revision?": "number", succeeded: "boolean", answers: "answers" },
  compact: { "revision?": "number" },
  "lease-grant": { "revision?": "number", id: "string", ttlSeconds: "number" },
  "lease-revoke": { "revision?": "number" },
  "lease-time-to-live": { "revision?": "number", ttlSeconds: "number" },
  "lease-keepalive": { "revision?": "number", ttlSeconds: "number" },
};

const KV: Shape = {
  key: "string",
  value: "string",
  createRevision: "number",
  modRevision: "number",
  version: "number",
  "lease?": "string",
};
const COMPARE: Shape = { key: "string", "rangeEnd?": "string", target: "string", result: "string", operand: "any" };
const WATCH: Shape = {
  key: "string",
  "rangeEnd?": "string",
  "startRevision?": "number",
  "prevKv?": "boolean",
  "noPut?": "boolean",
  "noDelete?": "boolean",
  "resumes?": "number",
};
const MESSAGE: Shape = { revision: "number", events: "events" };

/** Holds every operation and watch message to etcd's shapes. Throws MalformedHistory naming the operation and the field. */
export function validateEtcd(history: History): History<EtcdInput, EtcdOutput> {
  for (const operation of history.operations) validateOperation(operation);
  for (const stream of history.streams) validateStream(stream);
  return history as unknown as History<EtcdInput, EtcdOutput>;
}

function validateOperation(operation: Operation): void {
  const where = `operation ${operation.op}`;
  const f = validateOne(operation.input, INPUTS, `${where}: its input`);
  if (operation.outcome !== "ok") return;
  if (operation.output === undefined)
    throw new MalformedHistory(`${where} is ok but has no output; an ok ${f} carries its answer`);
  const answered = validateOne(operation.output, OUTPUTS, `${where}: its output`);
  if (answered !== f)
    throw new MalformedHistory(`${where}: its output is a ${answered}, but its input is a ${f}; both must be the same`);
}

function validateStream(stream: Stream): void {
  const input = stream.input as Readonly<Record<string, unknown>>;
  if (input["f"] !== "watch") return;
  validateShape(input, WATCH, `watch ${stream.stream}: its input`);
  for (const { message } of stream.messages) validateShape(message, MESSAGE, `watch ${stream.stream}: a message`);
}

function validateOne(value: unknown, shapes: Readonly<Record<string, Shape>>, where: string): string {
  const f = isRecord(value) ? value["f"] : undefined;
  const shape = typeof f === "string" && Object.hasOwn(shapes, f) ? shapes[f] : undefined;
  if (shape === undefined)
    throw new MalformedHistory(
      `${where} has f ${JSON.stringify(f)}; one of ${Object.keys(shapes).join(", ")} is needed`,
    );
  validateShape(value, shape, where);
  return f as string;
}

function validateShape(value: unknown, shape: Shape, where: string): void {
  if (!isRecord(value)) throw new MalformedHistory(`${where} is ${JSON.stringify(value)}; an object is needed`);
  for (const name in shape) {
    const optional = name.endsWith("?");
    const field = optional ? name.slice(0, -1) : name;
    const found = value[field];
    if (found === undefined && optional) continue;
    validateField(found, shape[name] as Kind, `${where} field ${field}`);
  }
}

function validateField(value: unknown, kind: Kind, where: string): void {
  switch (kind) {
    case "any":
      return;
    case "kv":
      return validateShape(value, KV, where);
    case "kvs":
      return eachOf(value, where, (item) => validateShape(item, KV, where));
    case "compares":
      return eachOf(value, where, (item) => validateShape(item, COMPARE, where));
    case "requests":
      return eachOf(value, where, (item) => void validateOne(item, INPUTS, where));
    case "answers":
      return eachOf(value, where, (item) => void validateOne(item, OUTPUTS, where));
    case "events":
      return eachOf(value, where, (item) => validateShape(item, { type: "string", kv: "kv", "prevKv?": "kv" }, where));
    case "number":
      if (typeof value === "number" && Number.isSafeInteger(value)) return;
      throw new MalformedHistory(`${where} is ${JSON.stringify(value)}; a whole number is needed`);
    default:
      if (typeof value !== kind)
        throw new MalformedHistory(`${where} is ${JSON.stringify(value)}; a ${kind} is needed`);
  }
}

function eachOf(value: unknown, where: string, check: (item: unknown) => void): void {
  if (!Array.isArray(value)) throw new MalformedHistory(`${where} is ${JSON.stringify(value)}; a list is needed`);
  for (const item of value) check(item);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
