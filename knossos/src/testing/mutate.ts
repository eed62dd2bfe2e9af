import type { Json } from "../json.ts";
import type { History } from "../history.ts";
import type { EtcdInput, EtcdOutput } from "../models/etcd-types.ts";
import type { Rng } from "./random.ts";

/** Changes one number, word or truth somewhere in an answer. The history may or may not stay true. */
export function mutateAnswer(history: History<EtcdInput, EtcdOutput>, rng: Rng): History<EtcdInput, EtcdOutput> {
  const answered = history.operations.filter(
    (operation) => operation.outcome === "ok" && operation.output !== undefined,
  );
  if (answered.length === 0) return history;
  const victim = rng.pick(answered);
  const output = mutateValue(victim.output as unknown as Json, rng) as unknown as EtcdOutput;
  return {
    ...history,
    operations: history.operations.map((operation) => (operation === victim ? { ...operation, output } : operation)),
  };
}

function mutateValue(value: Json, rng: Rng): Json {
  if (typeof value === "number") return Math.max(0, value + rng.pick([-2, -1, 1, 2]));
  if (typeof value === "boolean") return !value;
  if (typeof value === "string") return /^v\d$/.test(value) ? rng.pick(["v0", "v1", "v2"]) : value;
  if (value === null) return value;
  if (Array.isArray(value)) {
    if (value.length === 0) return value;
    const at = rng.int(value.length);
    if (rng.chance(0.2)) return value.filter((_, index) => index !== at);
    return value.map((item, index) => (index === at ? mutateValue(item as Json, rng) : (item as Json)));
  }
  const record = value as { readonly [key: string]: Json };
  const names = Object.keys(record).filter((name) => name !== "f" && name !== "key" && name !== "id");
  if (names.length === 0) return value;
  const name = rng.pick(names);
  return { ...record, [name]: mutateValue(record[name] as Json, rng) };
}
