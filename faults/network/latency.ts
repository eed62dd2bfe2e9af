import type { Fault, FaultContext } from "../../harness/fault.ts";
import type { TargetNode } from "../../harness/target.ts";
import { httpProbe, type HttpProbe } from "../http-probe.ts";
import { cannotTell, reading, wantsFault } from "../reading.ts";
import { oneOf } from "../target-choice.ts";
import { addressOf, addToxics, apiOf, clientProxy, peerProxy, removeToxics, withLinks } from "./links-api.ts";

/** `latencyMs` is added each way. `node` is whose client link is slow; without it, every peer link is. */
type Plan = { readonly latencyMs: number; readonly node?: string };
type Resolved = { readonly latencyMs: number; readonly nodes: readonly string[] };
type Undo = { readonly api: string; readonly proxies: readonly string[] };

const ANSWER_WITHIN_MS = 1_500;
/** The quickest of several round trips counts: a busy machine makes any one of them slow, none of them quick. */
const ROUND_TRIPS = 5;
/** Part of the asked-for delay below which a link does not count as slowed, and above which it does not count as healed. */
const CLEARLY = 0.9;
const HARDLY = 0.5;

function latency(
  name: string,
  summary: string,
  proxyOf: (node: string) => string,
  direct: (node: TargetNode) => string,
  shape: Pick<Fault<Plan, Resolved, Undo>, "plan" | "resolve">,
): Fault<Plan, Resolved, Undo> {
  return {
    name,
    summary,
    envelope: "within",
    needs: ["links"],
    prepare: withLinks,
    ...shape,
    on: ({ nodes }) => nodes,
    undo: (context, { nodes }) => ({ api: apiOf(context), proxies: nodes.map(proxyOf) }),

    async inject(context, { nodes, latencyMs }) {
      await addToxics(apiOf(context), nodes.map(proxyOf), name, "latency", { latency: latencyMs, jitter: 0 });
    },

    async probe(context, { nodes, latencyMs }, phase) {
      const addedMs = latencyMs * 2;
      const enoughMs = wantsFault(phase) ? addedMs / CLEARLY : addedMs * HARDLY;
      const quietMs = addedMs * HARDLY;
      const measured = await Promise.all(
        nodes.map((node) => added(context, node, proxyOf(node), direct, { enoughMs, quietMs })),
      );
      const told = measured.map(({ text }) => text).join("; ");
      const unanswered = measured.some(({ ms }) => ms === undefined);
      const delays = measured.map(({ ms }) => ms ?? 0);
      const figures = { askedMs: addedMs, addedMs: delays.map((ms) => Math.round(ms)) };
      const text = `${told} (${wantsFault(phase) ? `asked for ${addedMs} ms more` : "asked for none"})`;
      if (unanswered) return cannotTell(text, figures);
      if (!wantsFault(phase)) return reading(Math.max(...delays) < quietMs, text, figures);
      // A machine this busy makes any way slow: then a slow link is no evidence. Where the way past is quick, the link alone counts.
      if (measured.some(({ pastMs }) => pastMs >= quietMs)) return cannotTell(text, figures);
      return reading(
        measured.every(({ throughMs }) => throughMs >= addedMs * CLEARLY),
        text,
        figures,
      );
    },

    async heal({ api, proxies }, target) {
      // The proxies are a thread of the harness: gone with it, and another process may have their port by now.
      if (target !== undefined) await removeToxics(api, proxies, name);
    },
  };
}

/** All peer links at once: members dial each other both ways, so one slow proxy would slow only some of a member's messages. */
export const latencyPeer = latency(
  "latency-peer",
  "slow every link between members",
  peerProxy,
  (node) => node.directPeerAddress,
  {
    plan: (random) => ({ latencyMs: 40 + random.below(60) }),
    resolve: ({ latencyMs }, view) => ({ latencyMs, nodes: view.nodes.map(({ node }) => node) }),
  },
);

export const latencyClient = latency(
  "latency-client",
  "slow the link between the clients and one member",
  clientProxy,
  (node) => node.directClientAddress,
  {
    plan: (random, nodes) => ({ node: oneOf(random, nodes), latencyMs: 50 + random.below(150) }),
    resolve: ({ latencyMs, node }) => ({ latencyMs, nodes: node === undefined ? [] : [node] }),
  },
);

/** How much longer a connect, a request and its answer take through the proxy than past it. */
async function added(
  context: FaultContext,
  node: string,
  proxy: string,
  direct: (node: TargetNode) => string,
  limits: { readonly enoughMs: number; readonly quietMs: number },
) {
  const known = context.target.nodes.find((one) => one.name === node);
  if (known === undefined) throw new Error(`there is no member ${node}`);
  const through = await quickest(context, await addressOf(apiOf(context), proxy), limits.enoughMs);
  const past = await quickest(context, direct(known), limits.quietMs);
  if (through.result !== "answered" || past.result !== "answered") {
    return {
      ms: undefined,
      throughMs: 0,
      pastMs: 0,
      text: `${proxy} ${through.result}, ${node} past it ${past.result}`,
    };
  }
  const [throughMs, pastMs] = [through.elapsedMs, past.elapsedMs];
  return {
    ms: throughMs - pastMs,
    throughMs,
    pastMs,
    text: `GET /version through ${proxy} took ${through.elapsedMs.toFixed(1)} ms, ${past.elapsedMs.toFixed(1)} ms past it`,
  };
}

/** Stops at one that took less than `enoughMs`: more would tell nothing new. */
async function quickest({ clock, signal }: FaultContext, address: string, enoughMs: number): Promise<HttpProbe> {
  const probes: HttpProbe[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const probe = await httpProbe(clock, address, { withinMs: ANSWER_WITHIN_MS, signal });
    if (probe.result !== "answered") return probe;
    probes.push(probe);
    if (probe.elapsedMs < enoughMs) break;
  }
  return probes.reduce((best, probe) => (probe.elapsedMs < best.elapsedMs ? probe : best));
}
