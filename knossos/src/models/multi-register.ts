import { hashText, mix } from "../hashing.ts";
import type { Json } from "../json.ts";
import type { Model } from "../model.ts";

/** One step on several registers. A read whose value is null asserts nothing. */
export type MultiRegisterStep = readonly ["read" | "write", string, Json];
export interface MultiRegisterInput {
  readonly f: "txn";
  readonly steps: readonly MultiRegisterStep[];
}
/** The steps again, with what the reads saw. */
export type MultiRegisterOutput = readonly MultiRegisterStep[];

export interface MultiRegisterState {
  /** Values as canonical text. */
  readonly values: ReadonlyMap<string, string>;
  /** Of all (register, value) pairs, in any order. */
  readonly hash: number;
}

/** Several registers, read and written in one atomic step. `initial`: an object from register to value. */
export const multiRegister: Model<MultiRegisterState, MultiRegisterInput, MultiRegisterOutput> = {
  name: "multi-register",
  init(initial) {
    let state: MultiRegisterState = { values: new Map(), hash: 0 };
    for (const [name, value] of Object.entries((initial ?? {}) as Record<string, Json>))
      state = write(state, name, JSON.stringify(value));
    return state;
  },
  step(before, input, output) {
    let state = before;
    for (const [kind, name, value] of output ?? input.steps) {
      if (kind === "write") state = write(state, name, JSON.stringify(value));
      else if (output !== undefined && value !== null && (state.values.get(name) ?? "null") !== JSON.stringify(value))
        return [];
    }
    return [state];
  },
  hash: (state) => state.hash,
  equal(a, b) {
    if (a === b) return true;
    if (a.hash !== b.hash || a.values.size !== b.values.size) return false;
    for (const [name, value] of a.values) if (b.values.get(name) !== value) return false;
    return true;
  },
  isReadOnly: (input) => input.steps.every(([kind]) => kind === "read"),
  describe: (input, output) =>
    (output ?? input.steps).map(([kind, name, value]) => `${kind} ${name} ${JSON.stringify(value)}`).join(", "),
  describeState: (state) => `{${[...state.values].map(([name, value]) => `${name}: ${value}`).join(", ")}}`,
};

function write(state: MultiRegisterState, name: string, value: string): MultiRegisterState {
  const old = state.values.get(name);
  if (old === value) return state;
  const removed = old === undefined ? 0 : pairHash(name, old);
  return { values: new Map(state.values).set(name, value), hash: state.hash ^ removed ^ pairHash(name, value) };
}

function pairHash(name: string, value: string): number {
  return mix(hashText(name), hashText(value));
}
