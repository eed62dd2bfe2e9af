import { ApiError } from "./errors.ts";
import { canonicalId } from "./sender.ts";

/** cut: connections of the sender are reset, at once and as they name themselves. blackhole: they stay open and nothing passes either way. */
export type RuleAction = "cut" | "blackhole";

/** What to do with the connections on which a member names itself. Ours alone: Toxiproxy has no such table. */
export interface Rule {
  readonly id: string;
  readonly proxy: string;
  /** Member id in hex, as in etcd's `X-Server-From` header. */
  readonly from: string;
  readonly action: RuleAction;
  /** Connections it met: `established` when it was made, `refused` since. */
  hits: number;
  established: number;
  refused: number;
  /** Bytes that a blackhole swallowed. */
  swallowedBytes: number;
}

export class RuleTable {
  readonly #rules = new Map<string, Rule>();
  #lastId = 0;

  list(): readonly Rule[] {
    return [...this.#rules.values()];
  }

  /** The first rule made for this sender on this proxy. */
  find(proxy: string, from: string): Rule | undefined {
    for (const rule of this.#rules.values()) if (rule.proxy === proxy && rule.from === from) return rule;
    return undefined;
  }

  covers(proxy: string): boolean {
    for (const rule of this.#rules.values()) if (rule.proxy === proxy) return true;
    return false;
  }

  get(id: string): Rule {
    const rule = this.#rules.get(id);
    if (rule === undefined) throw new ApiError(404, "rule not found");
    return rule;
  }

  /** `id` may be chosen, so that who must undo it knows it beforehand; asking again for the same rule under it is an error. */
  add(body: unknown): Rule {
    if (typeof body !== "object" || body === null || Array.isArray(body))
      throw new ApiError(400, "bad request body: a rule is an object with proxy, from and action");
    const { id, proxy, from, action = "cut" } = body as Record<string, unknown>;
    if (typeof proxy !== "string" || proxy === "") throw new ApiError(400, "missing required field: proxy");
    if (typeof from !== "string" || from === "") throw new ApiError(400, "missing required field: from");
    if (!/^(0x)?[0-9a-f]{1,16}$/i.test(from))
      throw new ApiError(400, `bad request body: from is a member id in hex, not "${from}"`);
    if (action !== "cut" && action !== "blackhole")
      throw new ApiError(400, `bad request body: action is "cut" or "blackhole", not ${JSON.stringify(action)}`);
    if (id !== undefined && (typeof id !== "string" || id === ""))
      throw new ApiError(400, "bad request body: id is a text");
    const name = id ?? String(++this.#lastId);
    if (this.#rules.has(name)) throw new ApiError(409, "rule already exists");
    const rule: Rule = {
      id: name,
      proxy,
      from: canonicalId(from),
      action,
      hits: 0,
      established: 0,
      refused: 0,
      swallowedBytes: 0,
    };
    this.#rules.set(name, rule);
    return rule;
  }

  remove(id: string): Rule {
    const rule = this.get(id);
    this.#rules.delete(id);
    return rule;
  }
}
