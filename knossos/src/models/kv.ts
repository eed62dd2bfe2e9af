import { hashText } from "../hashing.ts";
import type { Model } from "../model.ts";

export type KvInput =
  | { readonly f: "get"; readonly key: string }
  | { readonly f: "put" | "append"; readonly key: string; readonly value: string };

/** A value with its hash: appending goes on from it. */
export interface KvState {
  readonly value: string;
  readonly hash: number;
}

/** Independent string keys with get, put and append, as Porcupine's kv model. An absent key is "". */
export const kv: Model<KvState, KvInput, string> = {
  name: "kv",
  init: (initial) => state(typeof initial === "string" ? initial : ""),
  step(before, input, output) {
    switch (input.f) {
      case "get":
        return output === undefined || output === before.value ? [before] : [];
      case "put":
        return [state(input.value)];
      case "append":
        return [{ value: before.value + input.value, hash: hashText(input.value, before.hash) }];
    }
  },
  hash: (one) => one.hash,
  equal: (a, b) => a === b || (a.hash === b.hash && a.value === b.value),
  objectOf: (input) => input.key,
  isReadOnly: (input) => input.f === "get",
  describe: (input, output) =>
    input.f === "get"
      ? `get ${input.key}${output === undefined ? "" : ` = ${JSON.stringify(output)}`}`
      : `${input.f} ${input.key} ${JSON.stringify(input.value)}`,
  describeState: (one) => JSON.stringify(one.value),
};

function state(value: string): KvState {
  return { value, hash: hashText(value) };
}
