import type { Fault, FaultContext, Phase } from "../../harness/fault.ts";
import type { ClusterView } from "../../harness/target.ts";
import type { Random } from "../../seams/random.ts";
import { httpProbe, inWords, type HttpProbe } from "../http-probe.ts";
import { cannotTell, fails, holds, reading } from "../reading.ts";
import { oneOf } from "../target-choice.ts";
import { addRule, addressOf, apiOf, listRules, peerProxy, removeRule, withLinks } from "./links-api.ts";

/** Connections from `from` to `to`, refused by a rule on the proxy in front of `to`. */
type Direction = { readonly from: string; readonly fromId: string; readonly to: string };
/** `away` hears nobody of `rest`, nor they it; within each side all is as before. `kept` is one connection there that must live. */
type Resolved = {
  readonly away: readonly string[];
  readonly rest: readonly string[];
  readonly cut: readonly Direction[];
  readonly kept: readonly Direction[];
};
type Undo = { readonly api: string; readonly rules: readonly string[] };

const ANSWER_WITHIN_MS = 1_000;

/**
 * Cuts every pair of members across a line, both ways, by the name that the dialling member gives itself. Connections across the line
 * are reset, and refused when dialled again; clients still reach every member.
 */
function partition<P extends { readonly [name: string]: string | readonly string[] | boolean }>(
  name: string,
  summary: string,
  plan: (random: Random, nodes: readonly string[]) => P,
  away: (plan: P, view: ClusterView) => readonly string[],
): Fault<P, Resolved, Undo> {
  const ruleId = ({ from, to }: Direction) => `${name}:${from}>${to}`;
  return {
    name,
    summary,
    envelope: "within",
    needs: ["links"],
    prepare: withLinks,
    plan,
    resolve: (planned, view) => split(away(planned, view), view),
    on: (resolved) => resolved.away,
    undo: (context, { cut }) => ({ api: apiOf(context), rules: cut.map(ruleId) }),

    async inject(context, { cut }) {
      const api = apiOf(context);
      for (const direction of cut)
        await addRule(api, {
          id: ruleId(direction),
          proxy: peerProxy(direction.to),
          from: direction.fromId,
          action: "cut",
        });
    },

    probe: (context, resolved, phase) => probeLine(context, resolved, phase, new Set(resolved.cut.map(ruleId))),

    async heal({ api, rules }, target) {
      // The proxies are a thread of the harness: gone with it, and another process may have their port by now.
      if (target === undefined) return;
      await Promise.all(rules.map((id) => removeRule(api, id)));
    },
  };
}

export const partitionOne = partition(
  "partition-one",
  "cut a random member off from all others",
  (random, nodes) => ({ node: oneOf(random, nodes) }),
  ({ node }) => [node],
);

export const partitionLeader = partition(
  "partition-leader",
  "cut the leader off from all others",
  () => ({ role: "leader" }),
  (_plan, view) => {
    if (view.leader === undefined) throw new Error("there is no leader to cut off");
    return [view.leader];
  },
);

/** The largest minority there is; for three members that is one, so what differs from partition-one is that the leader is in it half of the time. */
export const partitionMajority = partition(
  "partition-majority",
  "split the members into a majority and the largest minority",
  (random, nodes) => ({ order: shuffled(random, nodes), leaderInMinority: random.below(2) === 0 }),
  ({ order, leaderInMinority }, { leader }) => {
    const others = order.filter((node) => node !== leader);
    const ranked = leader === undefined ? others : leaderInMinority ? [leader, ...others] : [...others, leader];
    return ranked.slice(0, Math.floor((order.length - 1) / 2));
  },
);

function split(away: readonly string[], view: ClusterView): Resolved {
  const rest = view.nodes.map(({ node }) => node).filter((node) => !away.includes(node));
  if (away.length === 0 || rest.length === 0) throw new Error(`${view.nodes.length} members cannot be split`);
  const direction = (from: string, to: string): Direction => {
    const fromId = view.nodes.find(({ node }) => node === from)?.memberId;
    if (fromId === undefined) throw new Error(`the member id of ${from} is not known`);
    return { from, fromId, to };
  };
  const cut = away.flatMap((one) => rest.flatMap((other) => [direction(one, other), direction(other, one)]));
  const kept = [away, rest].flatMap(([one, other]) =>
    one === undefined || other === undefined ? [] : [direction(one, other)],
  );
  return { away, rest, cut, kept };
}

/** One dial a direction, with the header of the member that would dial; beside it what the rules met of the members' own connections. */
async function probeLine(
  context: FaultContext,
  { away, rest, cut, kept }: Resolved,
  phase: Phase,
  ruleIds: ReadonlySet<string>,
) {
  const api = apiOf(context);
  const rules = (await listRules(api)).filter((rule) => ruleIds.has(rule.id));
  const membersCut = rules.reduce((sum, rule) => sum + rule.hits, 0);
  const [across, inside] = await Promise.all([dialEach(context, api, cut), dialEach(context, api, kept)]);
  const line = `${away.join(", ")} | ${rest.join(", ")}`;
  const figures = {
    directions: cut.length,
    refused: across.filter(({ probe }) => probe.result === "closed").length,
    membersCut,
  };
  const broken = inside.find(({ probe }) => probe.result !== "answered");
  if (broken !== undefined)
    return reading(
      broken.probe.result === "silent" ? "inconclusive" : false,
      `${line}: ${dialText(broken)}, and should be connected`,
      figures,
    );
  const expected: HttpProbe["result"] = phase === "during" ? "closed" : "answered";
  const odd = across.find(({ probe }) => probe.result !== expected);
  if (odd !== undefined && odd.probe.result === "silent") return cannotTell(`${line}: ${dialText(odd)}`, figures);
  if (odd !== undefined)
    return fails(`${line}: ${dialText(odd)}, and should be ${phase === "during" ? "refused" : "connected"}`, figures);
  if (phase !== "during") return holds(`${line}: all ${cut.length} directions across are connected`, figures);
  const insideText = inside.length === 0 ? "" : `, ${inside.length} within still connected`;
  return holds(
    `${line}: all ${cut.length} directions across are refused, ${membersCut} connections of members were cut${insideText}`,
    figures,
  );
}

interface Dialled {
  readonly direction: Direction;
  readonly probe: HttpProbe;
}

function dialEach(
  { clock, signal }: FaultContext,
  api: string,
  directions: readonly Direction[],
): Promise<readonly Dialled[]> {
  return Promise.all(
    directions.map(async (direction) => {
      const address = await addressOf(api, peerProxy(direction.to));
      return {
        direction,
        probe: await httpProbe(clock, address, {
          withinMs: ANSWER_WITHIN_MS,
          headers: { "X-Server-From": direction.fromId },
          signal,
        }),
      };
    }),
  );
}

function dialText({ direction, probe }: Dialled): string {
  return `${direction.from} to ${direction.to} ${inWords(probe)}`;
}

function shuffled(random: Random, nodes: readonly string[]): readonly string[] {
  const left = [...nodes];
  return nodes.flatMap(() => left.splice(random.below(left.length), 1));
}
