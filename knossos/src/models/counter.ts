import type { Model } from "../model.ts";

export type CounterInput = { readonly f: "add"; readonly value: number } | { readonly f: "read" };

/** An exact counter: add and read. */
export const counter: Model<number, CounterInput, number> = {
  name: "counter",
  init: (initial) => (typeof initial === "number" ? initial : 0),
  step(state, input, output) {
    if (input.f === "add") return [state + input.value];
    return output === undefined || output === state ? [state] : [];
  },
  hash: (state) => state | 0,
  equal: (a, b) => a === b,
  isReadOnly: (input) => input.f === "read",
  describe: (input, output) =>
    input.f === "add" ? `add ${input.value}` : `read${output === undefined ? "" : ` ${output}`}`,
  describeState: String,
};
