import { Toxiproxy, type Proxy } from "toxiproxy-node-client";
import type { ICreateToxicBody } from "toxiproxy-node-client/dist/interfaces.js";
import type { FaultContext } from "../../harness/fault.ts";
import type { Rule, RuleAction } from "../../links/index.ts";
import type { LaunchSpec } from "../../harness/target.ts";

const STREAMS = ["upstream", "downstream"] as const;

/** Network faults need the proxies in line from the start. */
export const withLinks = (spec: LaunchSpec): LaunchSpec => ({ ...spec, links: true });

export const clientProxy = (node: string): string => `client-${node}`;
export const peerProxy = (node: string): string => `peer-${node}`;

export function apiOf({ linksApi, target }: Pick<FaultContext, "linksApi" | "target">): string {
  const api = linksApi ?? target.linksApi;
  if (api === undefined) throw new Error(`${target.name} was started without links`);
  return api;
}

/** host:port on which a proxy listens. */
export async function addressOf(api: string, proxy: string): Promise<string> {
  return (await new Toxiproxy(api).get(proxy)).listen;
}

/** Sets one toxic on both streams of each proxy, as `<name>-upstream` and `<name>-downstream`. */
export async function addToxics<A>(
  api: string,
  proxies: readonly string[],
  name: string,
  type: ICreateToxicBody<A>["type"],
  attributes: A,
): Promise<void> {
  const client = new Toxiproxy(api);
  const found = await Promise.all(proxies.map((proxy) => client.get(proxy)));
  const set = (proxy: Proxy, stream: (typeof STREAMS)[number]) =>
    proxy.addToxic<A>({ name: `${name}-${stream}`, type, stream, toxicity: 1, attributes });
  await Promise.all(found.flatMap((proxy) => STREAMS.map((stream) => set(proxy, stream))));
}

/** Takes them away; what is gone already is fine. */
export async function removeToxics(api: string, proxies: readonly string[], name: string): Promise<void> {
  await Promise.all(
    proxies.flatMap((proxy) => STREAMS.map((stream) => remove(`${api}/proxies/${proxy}/toxics/${name}-${stream}`))),
  );
}

export async function addRule(
  api: string,
  rule: { readonly id: string; readonly proxy: string; readonly from: string; readonly action: RuleAction },
): Promise<void> {
  const response = await fetch(`${api}/rules`, { method: "POST", body: JSON.stringify(rule) });
  if (!response.ok) throw new Error(`the proxy refused the rule ${rule.id}: ${(await response.text()).trim()}`);
}

export async function removeRule(api: string, id: string): Promise<void> {
  await remove(`${api}/rules/${encodeURIComponent(id)}`);
}

export async function listRules(api: string): Promise<readonly Rule[]> {
  return (await (await fetch(`${api}/rules`)).json()) as readonly Rule[];
}

async function remove(url: string): Promise<void> {
  const response = await fetch(url, { method: "DELETE" });
  if (!response.ok && response.status !== 404)
    throw new Error(`the proxy did not delete ${url}: ${(await response.text()).trim()}`);
}
