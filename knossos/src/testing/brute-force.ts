import type { History, Operation } from "../history.ts";
import type { Model } from "../model.ts";

/**
 * Linearizability by its definition: tries every order that real time allows, with every choice of the operations in doubt. No memory,
 * no pruning, nothing shared with the engines. For a handful of operations.
 */
export function bruteForce<S, I, O>(history: History<I, O>, model: Model<S, I, O>): boolean {
  const operations = history.operations.filter((operation) => operation.outcome !== "fail");
  const search = (state: S, left: readonly Operation<I, O>[]): boolean => {
    const must = left.filter((operation) => operation.outcome === "ok");
    if (must.length === 0) return true;
    const firstReturn = Math.min(...must.map((operation) => operation.returned ?? Number.POSITIVE_INFINITY));
    return left.some((operation) => {
      if (operation.invoked > firstReturn) return false;
      const rest = left.filter((other) => other !== operation);
      return model
        .step(state, operation.input, operation.outcome === "ok" ? operation.output : undefined)
        .some((next) => search(next, rest));
    });
  };
  return search(model.init(history.initial), operations);
}
