import { ApiError } from "./errors.ts";
import { Proxy, type ProxyWorld } from "./proxy.ts";
import { RuleTable, type Rule } from "./rules.ts";
import type { ProxyInput } from "./wire.ts";

/** All proxies by name, and the rules over them. */
export class ProxySet {
  readonly rules = new RuleTable();
  readonly #world: ProxyWorld;
  readonly #proxies = new Map<string, Proxy>();

  constructor(world: Omit<ProxyWorld, "rules">) {
    this.#world = { ...world, rules: this.rules };
  }

  all(): readonly Proxy[] {
    return [...this.#proxies.values()];
  }

  get(name: string): Proxy {
    const proxy = this.#proxies.get(name);
    if (proxy === undefined) throw new ApiError(404, "proxy not found");
    return proxy;
  }

  async create(input: ProxyInput): Promise<Proxy> {
    if (this.#proxies.has(input.name)) throw new ApiError(409, "proxy already exists");
    const proxy = new Proxy(this.#world, input.name, input.listen, input.upstream);
    // Held by name before the wait, so that two requests at once cannot both make it.
    this.#proxies.set(input.name, proxy);
    try {
      if (input.enabled) await proxy.start();
    } catch (error) {
      this.#proxies.delete(input.name);
      throw error;
    }
    return proxy;
  }

  /** Creates or replaces each; one with the same addresses is kept as it is. Stops at the first that fails. */
  async populate(
    inputs: readonly ProxyInput[],
  ): Promise<{ readonly made: readonly Proxy[]; readonly problem?: ApiError }> {
    const made: Proxy[] = [];
    try {
      for (const input of inputs) {
        const existing = this.#proxies.get(input.name);
        if (existing !== undefined && !existing.differs(input.listen, input.upstream)) {
          made.push(existing);
          continue;
        }
        if (existing !== undefined) await this.remove(input.name);
        made.push(await this.create(input));
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { made, problem: error };
    }
    return { made };
  }

  async remove(name: string): Promise<void> {
    const proxy = this.get(name);
    this.#proxies.delete(name);
    await proxy.stop();
  }

  /** Every proxy enabled, no toxics, no rules. */
  async reset(): Promise<void> {
    for (const rule of this.rules.list()) this.removeRule(rule.id);
    for (const proxy of this.all()) {
      await proxy.start();
      await proxy.removeAllToxics();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.all().map((proxy) => proxy.stop()));
  }

  addRule(body: unknown): Rule {
    const rule = this.rules.add(body);
    const proxy = this.#proxies.get(rule.proxy);
    if (proxy === undefined) {
      this.rules.remove(rule.id);
      throw new ApiError(404, "proxy not found");
    }
    proxy.apply(rule);
    return rule;
  }

  removeRule(id: string): void {
    const rule = this.rules.remove(id);
    this.#proxies.get(rule.proxy)?.release(rule);
  }
}
