import type { Json } from "./json.ts";

/** false beats unknown beats true. */
export type Validity = true | false | "unknown";

/** One thing a checker has to say. `kind` is a stable word (`nonlinearizable`, `stale-read`, `lost-event`...). */
export interface Finding {
  readonly kind: string;
  /** One sentence that a person can follow, with keys, revisions and process ids in it. */
  readonly message: string;
  /** Ids of the operations (`op` of the history) that show it. */
  readonly operations: readonly number[];
  /** Streams (watches, keepalives) that show it. */
  readonly streams?: readonly number[];
  readonly details?: Json;
}

/** true carries an order; false the shortest part of the history that cannot be explained. */
export type Proof =
  | { readonly kind: "linearization"; readonly order: readonly number[] }
  | {
      readonly kind: "counterexample";
      /** Operation ids, in the order found, of the longest prefix that can be explained. */
      readonly prefix: readonly number[];
      /** The state after that prefix, described. */
      readonly state: string;
      /** Operations that could come next, each with the reason it cannot. */
      readonly stuck: readonly { readonly operation: number; readonly reason: string }[];
    };

export interface Verdict {
  readonly valid: Validity;
  /** `linearizability/etcd`, `watch`, `watch-joined`, `lease`, `lock`... */
  readonly checker: string;
  readonly findings: readonly Finding[];
  readonly proof?: Proof;
  /** Why it is unknown (budget, truncated history, nothing to judge). */
  readonly why?: string;
  /** Counts a reader wants: operations, ok, info, events, states explored, milliseconds. */
  readonly stats: Readonly<Record<string, number>>;
}

/** false beats unknown beats true; no verdicts at all are unknown. */
export function combine(verdicts: readonly { readonly valid: Validity }[]): Validity {
  if (verdicts.some((v) => v.valid === false)) return false;
  if (verdicts.length === 0 || verdicts.some((v) => v.valid === "unknown")) return "unknown";
  return true;
}
