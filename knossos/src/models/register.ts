import { hashText } from "../hashing.ts";
import type { Json } from "../json.ts";
import type { Model } from "../model.ts";

export interface RegisterRead {
  readonly f: "read";
}
export interface RegisterWrite {
  readonly f: "write";
  readonly value: Json;
}
export interface RegisterCas {
  readonly f: "cas";
  readonly from: Json;
  readonly to: Json;
}
export type RegisterInput = RegisterRead | RegisterWrite;
export type CasRegisterInput = RegisterInput | RegisterCas;
/** What a read saw; whether a swap happened. Absent: not known. */
export type RegisterOutput = Json;

/** A value as canonical text, so that states compare by ===. */
function text(value: Json): string {
  return JSON.stringify(value);
}

/** One register: read, write, cas. Its value at first is `initial`, null if absent. */
export const casRegister: Model<string, CasRegisterInput, RegisterOutput> = {
  name: "cas-register",
  init: (initial) => text((initial as Json | undefined) ?? null),
  step(state, input, output) {
    switch (input.f) {
      case "read":
        return output === undefined || text(output) === state ? [state] : [];
      case "write":
        return [text(input.value)];
      case "cas": {
        const matches = text(input.from) === state;
        if (output === true) return matches ? [text(input.to)] : [];
        if (output === false) return matches ? [] : [state];
        return [matches ? text(input.to) : state];
      }
    }
  },
  hash: (state) => hashText(state),
  equal: (a, b) => a === b,
  isReadOnly: (input, output) => input.f === "read" || (input.f === "cas" && output === false),
  describe(input, output) {
    if (input.f === "read") return output === undefined ? "read" : `read ${text(output)}`;
    if (input.f === "write") return `write ${text(input.value)}`;
    return `cas ${text(input.from)} -> ${text(input.to)}${output === false ? " (did not match)" : ""}`;
  },
  describeState: (state) => state,
};

/** One register: read and write. */
export const register: Model<string, RegisterInput, RegisterOutput> = { ...casRegister, name: "register" };
