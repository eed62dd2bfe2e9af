import type { Random } from "../seams/random.ts";
import type { ClusterView, NodeView } from "../harness/target.ts";

/** Whom a fault is aimed at, before the cluster is looked at. */
export type Aim = { readonly role: "leader" } | { readonly node: string };

/** The leader as often as all others together: it is the member whose loss shows most. */
export function aim(random: Random, nodes: readonly string[]): Aim {
  return random.below(2) === 0 ? { role: "leader" } : { node: oneOf(random, nodes) };
}

export function oneOf(random: Random, nodes: readonly string[]): string {
  const node = nodes[random.below(nodes.length)];
  if (node === undefined) throw new Error("there is no member to choose");
  return node;
}

/** The member that is meant now. Without a leader, "the leader" is the first member that runs. */
export function aimedAt(wanted: Aim, view: ClusterView): NodeView {
  const name = "node" in wanted ? wanted.node : (view.leader ?? view.nodes.find((one) => one.running)?.node);
  const node = view.nodes.find((one) => one.node === name);
  if (node === undefined) throw new Error(`there is no member ${name ?? "that runs"}`);
  return node;
}
