import type { NodeId } from "../seams/network.ts";
import { CALM_CLIENT_LINK } from "./client-link.ts";
import { RaftWitness } from "./invariants.ts";
import { SimulatedMember } from "./member.ts";
import { CALM_LINK, SimulatedNetwork } from "./network.ts";
import type { Plant } from "./plant.ts";
import type { World } from "./world.ts";

export interface ClusterOptions {
  /** How many members; 3 if absent. They are called n1, n2... */
  readonly members?: number;
  /** A bug in every member. */
  readonly plant?: Plant;
}

/**
 * The store's own members in one world: each with a disk, a backend, links to the others and to its clients, all simulated.
 * What must hold at every moment is watched (`violations`); what clients see is the caller's to record and judge.
 */
export class SimulatedCluster {
  readonly world: World;
  readonly network: SimulatedNetwork;
  readonly members: readonly SimulatedMember[];
  readonly #violations: string[] = [];

  constructor(world: World, options: ClusterOptions = {}) {
    this.world = world;
    this.network = new SimulatedNetwork(world);
    const names = Array.from({ length: options.members ?? 3 }, (_, i) => `n${i + 1}`);
    const say = (violation: string): void => this.say(violation);
    const nameOf = (id: NodeId): string => names[Number(id) - 1] ?? String(id);
    const witness = new RaftWitness(nameOf, say);
    this.members = names.map(
      (name) => new SimulatedMember({ world, network: this.network, names, name, plant: options.plant, witness, say }),
    );
  }

  /** What was seen not to hold, with its time, oldest first. */
  get violations(): readonly string[] {
    return this.#violations;
  }

  say(violation: string): void {
    this.world.trace(`violation: ${violation}`);
    this.#violations.push(`at ${(this.world.nowMs / 1000).toFixed(3)} s: ${violation}`);
  }

  member(name: string): SimulatedMember {
    const member = this.members.find((one) => one.name === name);
    if (member === undefined)
      throw new Error(`there is no member ${name}; there is ${this.members.map((one) => one.name).join(", ")}`);
    return member;
  }

  /** The leader that a majority of the members follows, itself one of them. */
  get leader(): SimulatedMember | undefined {
    return this.members.find((one) => {
      const followers = this.members.filter(
        (other) => other.running?.leader === one.id && other.running.term === one.running?.term,
      );
      return one.running?.isLeader === true && 2 * followers.length > this.members.length;
    });
  }

  /** All at once; resolves when each has started, or said why it does not. */
  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
  }

  /** Every link, disk and client link is as at the beginning. What is down stays down. */
  healLinks(): void {
    this.network.heal(CALM_LINK);
    for (const member of this.members) member.clientShape = CALM_CLIENT_LINK;
  }

  /** True once every member has applied the same entries. */
  get level(): boolean {
    const applied = new Set(
      this.members.map(({ running }) =>
        running === undefined || running.installing ? undefined : running.machine.appliedIndex,
      ),
    );
    return applied.size === 1 && !applied.has(undefined);
  }

  /** Compares the content of all members, which must be level: one HashKV, as etcd's own harnesses ask for. */
  compare(): void {
    const contents = this.members.map(({ name, running }) => {
      if (running === undefined || running.installing) return `${name}: nothing to compare`;
      const { mvcc } = running.machine;
      const { hash, compactRevision } = mvcc.hashKv(0);
      return {
        name,
        text: `revision ${mvcc.currentRevision}, compacted at ${compactRevision}, HashKV ${hash.toString(16)}`,
      };
    });
    const texts = contents.map((one) => (typeof one === "string" ? one : one.text));
    this.world.trace(`contents ${texts.join("; ")}`);
    if (new Set(texts).size > 1) {
      this.say(
        `members that have applied the same entries differ: ${contents.map((one) => (typeof one === "string" ? one : `${one.name} is at ${one.text}`)).join("; ")}`,
      );
    }
  }

  /** The end of every life. */
  stop(): void {
    for (const member of this.members) member.halt();
  }
}
