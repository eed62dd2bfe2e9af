import { UsageError } from "../errors.ts";

/** Something that was asked for and not tried, with the reason; it ends in run.json and the report, never as passed. */
export interface NotTried {
  readonly what: string;
  readonly reason: string;
}

interface Named {
  readonly name: string;
  readonly needs: readonly string[];
}

/**
 * Finds an item by its path (`etcd/kv`) or a unique last part (`kv`).
 * Throws a UsageError that lists what there is, or what the short name could mean.
 */
export function findByName<T extends Named>(kind: string, items: readonly T[], name: string): T {
  const exact = items.find((item) => item.name === name);
  if (exact !== undefined) return exact;
  const byLastPart = items.filter((item) => item.name.split("/").at(-1) === name);
  const [only] = byLastPart;
  if (only !== undefined && byLastPart.length === 1) return only;
  if (byLastPart.length > 1) {
    throw new UsageError(
      `${kind} '${name}' could be ${byLastPart.map((item) => item.name).join(" or ")}; give its whole name.`,
    );
  }
  throw new UsageError(`there is no ${kind} '${name}'; there is ${items.map((item) => item.name).join(", ")}.`);
}

/** Items whose needs a target meets, and the others with the reason. */
export function splitByNeeds<T extends Named>(
  items: readonly T[],
  has: (capability: string) => boolean,
  target: string,
): { readonly usable: readonly T[]; readonly notTried: readonly NotTried[] } {
  const usable: T[] = [];
  const notTried: NotTried[] = [];
  for (const item of items) {
    const missing = item.needs.filter((need) => !has(need));
    if (missing.length === 0) usable.push(item);
    else notTried.push({ what: item.name, reason: `target ${target} has no ${missing.join(", no ")}` });
  }
  return { usable, notTried };
}

/**
 * What `--faults` means on a target. `all` (and the default) skips what the target cannot have and says so;
 * a fault that was named and cannot be is a UsageError.
 */
export function selectFaults<T extends Named>(
  catalogue: readonly T[],
  asked: readonly string[] | "all" | "none",
  has: (capability: string) => boolean,
  target: string,
): { readonly usable: readonly T[]; readonly notTried: readonly NotTried[] } {
  if (asked === "none") return { usable: [], notTried: [] };
  if (asked === "all") return splitByNeeds(catalogue, has, target);
  const chosen = [...new Set(asked)].map((name) => findByName("fault", catalogue, name));
  const { usable, notTried } = splitByNeeds([...new Set(chosen)], has, target);
  const [first] = notTried;
  if (first !== undefined) throw new UsageError(`fault '${first.what}' cannot be had here: ${first.reason}.`);
  return { usable, notTried };
}
