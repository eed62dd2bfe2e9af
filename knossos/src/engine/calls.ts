import type { History, Operation } from "../history.ts";
import type { Model } from "../model.ts";

/** An operation as the engines see it. */
export interface Call<I, O> {
  readonly op: number;
  readonly input: I;
  /** Absent: not known. */
  readonly output: O | undefined;
  readonly invoked: number;
  /** Infinity: in doubt, it never has to take effect. */
  readonly returned: number;
  /** It changes nothing, in whatever state it takes effect. */
  readonly readOnly: boolean;
}

/** Operations on one object, in order of invocation. */
export interface Part<I, O> {
  readonly object: string | undefined;
  readonly calls: readonly Call<I, O>[];
}

/**
 * Takes a history apart by object (Herlihy & Wing's locality: a history is linearizable exactly if that of each object is) and
 * leaves out what asserts nothing: operations that failed, and reads in doubt.
 */
export function partsOf<S, I, O>(history: History, model: Model<S, I, O>): readonly Part<I, O>[] {
  const parts = new Map<string | undefined, Call<I, O>[]>();
  for (const operation of history.operations as unknown as readonly Operation<I, O>[]) {
    if (operation.outcome === "fail") continue;
    const sure = operation.outcome === "ok";
    const output = sure ? operation.output : undefined;
    const readOnly = model.isReadOnly?.(operation.input, output) ?? false;
    if (readOnly && !sure) continue;
    const object = model.objectOf?.(operation.input);
    const call = {
      op: operation.op,
      input: operation.input,
      output,
      invoked: operation.invoked,
      returned: sure ? (operation.returned ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
      readOnly,
    };
    const part = parts.get(object);
    if (part === undefined) parts.set(object, [call]);
    else part.push(call);
  }
  for (const calls of parts.values()) calls.sort((a, b) => a.invoked - b.invoked);
  return [...parts].map(([object, calls]) => ({ object, calls }));
}

/** What a search found so far. undefined: it has not finished. */
export type Found<I, O> = { readonly valid: true; readonly order: readonly Call<I, O>[] } | { readonly valid: false };

/** The furthest that a search came: what to show where no order exists. */
export interface Stuck<S, I, O> {
  readonly prefix: readonly Call<I, O>[];
  readonly state: S;
  readonly next: readonly Call<I, O>[];
}

/** A search that can be paused. */
export interface Search<S, I, O> {
  /** Goes on for about `steps` steps. */
  advance(steps: number): Found<I, O> | undefined;
  readonly steps: number;
  /** It holds more than it may and can go no further. */
  readonly exhausted: boolean;
  stuck(): Stuck<S, I, O>;
}

/**
 * Open operations with the same input are interchangeable: none ever has to return, and the one invoked first may take effect
 * wherever a later one may. So only how many of a class were used matters, and they are used in order of invocation.
 */
export interface DoubtClasses<I, O> {
  /** Class -> its calls by invocation. */
  readonly classes: readonly (readonly Call<I, O>[])[];
  readonly classOf: ReadonlyMap<Call<I, O>, number>;
}

export function doubtClasses<I, O>(calls: readonly Call<I, O>[]): DoubtClasses<I, O> {
  const byText = new Map<string, Call<I, O>[]>();
  for (const call of calls) {
    if (call.returned !== Number.POSITIVE_INFINITY) continue;
    const text = JSON.stringify([call.input, call.output ?? null]);
    const list = byText.get(text);
    if (list === undefined) byText.set(text, [call]);
    else list.push(call);
  }
  const classes = [...byText.values()];
  const classOf = new Map<Call<I, O>, number>();
  classes.forEach((list, index) => {
    for (const call of list) classOf.set(call, index);
  });
  return { classes, classOf };
}

/** How many calls of each class were used: [class, count, class, count...] by ascending class. Persistent and small. */
export type Used = readonly number[];

export function use(used: Used, index: number): Used {
  const next = [...used];
  let i = 0;
  while (i < next.length && (next[i] as number) < index) i += 2;
  if (next[i] === index) next[i + 1] = (next[i + 1] as number) + 1;
  else next.splice(i, 0, index, 1);
  return next;
}

export function usedOf(used: Used, index: number): number {
  for (let i = 0; i < used.length; i += 2) if (used[i] === index) return used[i + 1] as number;
  return 0;
}

/**
 * `a` used no more of any class than `b`. With the same state and the same acknowledged calls done, everything that can follow b can
 * follow a (leave out nothing, have more in hand), so b need not be searched.
 */
export function dominates(a: Used, b: Used): boolean {
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    while (j < b.length && (b[j] as number) < (a[i] as number)) j += 2;
    if (b[j] !== a[i] || (b[j + 1] as number) < (a[i + 1] as number)) return false;
  }
  return true;
}
