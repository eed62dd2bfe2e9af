import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { History, Operation } from "../history.ts";
import type { Json } from "../json.ts";
import type { Model } from "../model.ts";
import type { CounterInput } from "../models/counter.ts";
import { counter } from "../models/counter.ts";
import type { KvInput, KvState } from "../models/kv.ts";
import { kv } from "../models/kv.ts";
import type {
  MultiRegisterInput,
  MultiRegisterOutput,
  MultiRegisterState,
  MultiRegisterStep,
} from "../models/multi-register.ts";
import { multiRegister } from "../models/multi-register.ts";
import type { CasRegisterInput, RegisterInput, RegisterOutput } from "../models/register.ts";
import { casRegister, register } from "../models/register.ts";
import { bruteForce } from "../testing/brute-force.ts";
import { Rng, runs } from "../testing/random.ts";
import type { Subject } from "../testing/register-run.ts";
import { smallRun } from "../testing/register-run.ts";
import { checkLinearizable } from "./linearizability.ts";

const registerSubject: Subject<string, RegisterInput, RegisterOutput> = {
  model: register,
  input: (rng) => (rng.chance(0.5) ? { f: "read" } : { f: "write", value: rng.int(3) }),
  answer: (state, input) =>
    input.f === "read"
      ? { next: state, output: JSON.parse(state) as Json }
      : { next: JSON.stringify(input.value), output: null },
  lie: (rng, input) => (input.f === "read" ? rng.pick([null, 0, 1, 2]) : null),
};

const casSubject: Subject<string, CasRegisterInput, RegisterOutput> = {
  model: casRegister,
  input: (rng) => (rng.chance(0.4) ? { f: "cas", from: rng.int(3), to: rng.int(3) } : registerSubject.input(rng)),
  answer(state, input) {
    if (input.f !== "cas") return registerSubject.answer(state, input);
    const matches = state === JSON.stringify(input.from);
    return { next: matches ? JSON.stringify(input.to) : state, output: matches };
  },
  lie: (rng, input) => (input.f === "cas" ? rng.chance(0.5) : registerSubject.lie(rng, input)),
};

const kvSubject: Subject<KvState, KvInput, string> = {
  model: kv,
  input(rng) {
    const key = rng.pick(["x", "y"]);
    return rng.chance(0.4)
      ? { f: "get", key }
      : { f: rng.chance(0.4) ? "put" : "append", key, value: rng.pick(["a", "b"]) };
  },
  // The kv model's state is one key's; the subject keeps all keys in one text, as key=value lines.
  answer(state, input) {
    const all = JSON.parse(state.value === "" ? "{}" : state.value) as Record<string, string>;
    const before = all[input.key] ?? "";
    if (input.f === "get") return { next: state, output: before };
    const after = { ...all, [input.key]: input.f === "put" ? input.value : before + input.value };
    return { next: { value: JSON.stringify(after), hash: 0 }, output: "" };
  },
  lie: (rng) => rng.pick(["", "a", "b", "ab", "ba"]),
};

const multiSubject: Subject<MultiRegisterState, MultiRegisterInput, MultiRegisterOutput> = {
  model: multiRegister,
  initial: { x: 0, y: 0 },
  input: (rng) => ({
    f: "txn",
    steps: Array.from({ length: 1 + rng.int(2) }, (): MultiRegisterStep =>
      rng.chance(0.5) ? ["read", rng.pick(["x", "y"]), null] : ["write", rng.pick(["x", "y"]), rng.int(3)],
    ),
  }),
  answer(state, input) {
    let next = state;
    const output = input.steps.map((step): MultiRegisterStep => {
      if (step[0] === "read") return ["read", step[1], JSON.parse(next.values.get(step[1]) ?? "null") as Json];
      next = multiRegister.step(next, { f: "txn", steps: [step] }, undefined)[0] as MultiRegisterState;
      return step;
    });
    return { next, output };
  },
  lie: (rng, input) => input.steps.map((step) => (step[0] === "read" ? ["read", step[1], rng.int(3)] : step)),
};

const counterSubject: Subject<number, CounterInput, number> = {
  model: counter,
  input: (rng) => (rng.chance(0.5) ? { f: "read" } : { f: "add", value: rng.pick([1, 2, -1]) }),
  answer: (state, input) =>
    input.f === "read" ? { next: state, output: state } : { next: state + input.value, output: 0 },
  lie: (rng) => rng.int(4) - 1,
};

/** Brute force over the whole kv, since partition by key is what is under test. */
const wholeKv: Model<ReadonlyMap<string, string>, KvInput, string> = {
  name: "whole-kv",
  init: () => new Map(),
  step(state, input, output) {
    const value = state.get(input.key) ?? "";
    if (input.f === "get") return output === undefined || output === value ? [state] : [];
    return [new Map(state).set(input.key, input.f === "put" ? input.value : value + input.value)];
  },
  hash: () => 0,
  equal: (a, b) => a === b,
  describe: () => "",
  describeState: () => "",
};

function compare<S, I, O>(subject: Subject<S, I, O>, naive: (history: History<I, O>) => boolean): void {
  const count = { true: 0, false: 0 };
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const history = smallRun(subject, new Rng(seed));
      const expected = naive(history);
      count[`${expected}`]++;
      for (const engine of ["frontier", "depth-first", undefined] as const) {
        const verdict = checkLinearizable(
          history as unknown as History,
          subject.model,
          engine === undefined ? {} : { engine },
        );
        expect([engine, verdict.valid]).toEqual([engine, expected]);
        if (verdict.proof?.kind === "linearization")
          expect(followsOrder(history, subject, verdict.proof.order)).toBe(true);
      }
    }),
    { numRuns: runs(700) },
  );
  expect(Math.min(count.true, count.false)).toBeGreaterThan(runs(700) / 10);
}

/** The proof, held against real time and, where one object is all, the model. */
function followsOrder<S, I, O>(history: History<I, O>, subject: Subject<S, I, O>, order: readonly number[]): boolean {
  const byOp = new Map(history.operations.map((operation) => [operation.op, operation]));
  const operations = order.map((op) => byOp.get(op) as Operation<I, O>);
  const all = history.operations
    .filter((operation) => operation.outcome === "ok")
    .every((operation) => order.includes(operation.op));
  const inTime = operations.every((later, i) =>
    operations.slice(0, i).every((earlier) => !(later.returned !== undefined && later.returned < earlier.invoked)),
  );
  const objects = new Map<string | undefined, S>();
  const allowed = operations.every((operation) => {
    const object = subject.model.objectOf?.(operation.input);
    const state = objects.has(object) ? (objects.get(object) as S) : subject.model.init(history.initial);
    const [next] = subject.model.step(
      state,
      operation.input,
      operation.outcome === "ok" ? operation.output : undefined,
    );
    if (next === undefined) return false;
    objects.set(object, next);
    return true;
  });
  return all && inTime && allowed;
}

describe("both engines and brute force agree, and every proof holds:", () => {
  test("register", () => compare(registerSubject, (history) => bruteForce(history, register)));
  test("cas-register", () => compare(casSubject, (history) => bruteForce(history, casRegister)));
  test("kv", () => compare(kvSubject, (history) => bruteForce(history, wholeKv)));
  test("multi-register", () => compare(multiSubject, (history) => bruteForce(history, multiRegister)));
  test("counter", () => compare(counterSubject, (history) => bruteForce(history, counter)));
});

function history(...operations: readonly Partial<Operation>[]): History {
  return {
    model: "cas-register",
    foreignWriters: false,
    operations: operations.map((operation, op) => ({ op, process: op, outcome: "ok", ...operation }) as Operation),
    streams: [],
    environment: [],
    faults: [],
  };
}

describe("traps", () => {
  // The write of 1 over 1 is legal at once and leaves the state as it is; taken then, nothing could make the last read right.
  const laterNeeded = history(
    { invoked: 0, returned: 1, input: { f: "write", value: 1 } },
    { invoked: 2, returned: 20, input: { f: "write", value: 1 } },
    { invoked: 3, returned: 4, input: { f: "write", value: 2 } },
    { invoked: 5, returned: 6, input: { f: "read" }, output: 2 },
    { invoked: 7, returned: 8, input: { f: "read" }, output: 1 },
  );

  test("a write that leaves the state as it is must not be taken eagerly", () => {
    for (const engine of ["frontier", "depth-first"] as const)
      expect(checkLinearizable(laterNeeded, casRegister, { engine }).valid).toBe(true);
  });

  test("the unsound twin, which takes it, is caught by that history", () => {
    const twin: typeof casRegister = {
      ...casRegister,
      isReadOnly: (input, output) => input.f === "write" || (casRegister.isReadOnly?.(input, output) ?? false),
    };
    for (const engine of ["frontier", "depth-first"] as const)
      expect(checkLinearizable(laterNeeded, twin, { engine }).valid).toBe(false);
  });

  test("an operation in doubt may take effect long after, once, or never", () => {
    const write = { invoked: 0, outcome: "info", input: { f: "write", value: 7 } } as const;
    const read = (at: number, output: Json) => ({ invoked: at, returned: at + 1, input: { f: "read" }, output });
    expect(checkLinearizable(history(write, read(5, null), read(10, 7)), casRegister).valid).toBe(true);
    expect(checkLinearizable(history(write, read(5, null), read(10, null)), casRegister).valid).toBe(true);
    expect(checkLinearizable(history(write, read(5, 7), read(10, null)), casRegister).valid).toBe(false);
  });

  test("a counterexample names the longest prefix, the state and each reason", () => {
    const verdict = checkLinearizable(
      history(
        { invoked: 0, returned: 1, input: { f: "write", value: 1 } },
        { invoked: 2, returned: 3, input: { f: "read" }, output: 2 },
      ),
      casRegister,
    );
    expect(verdict.proof).toEqual({
      kind: "counterexample",
      prefix: [0],
      state: "1",
      stuck: [{ operation: 1, reason: "read 2 is impossible in 1" }],
    });
  });

  test("no time is unknown, not valid", () => {
    let now = 0;
    expect(checkLinearizable(laterNeeded, casRegister, { timeLimitMs: 0, now: () => ++now })).toMatchObject({
      valid: "unknown",
      why: expect.stringContaining("time limit") as string,
    });
  });
});
