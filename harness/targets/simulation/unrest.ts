import type { Random } from "../../../seams/random.ts";
import type { SimulatedCluster } from "../../../simulation/cluster.ts";
import type { DiskFault } from "../../../simulation/disk.ts";
import type { SimulatedMember } from "../../../simulation/member.ts";

/**
 * What is being done to a cluster, and how to end it: each fault leaves its way back here, so that `mend` needs to know of none.
 */
export class Unrest {
  readonly cluster: SimulatedCluster;
  #underway: Disposable[] = [];
  #powerLosses = 0;

  constructor(cluster: SimulatedCluster) {
    this.cluster = cluster;
  }

  /** Lives that ended by a power loss since the last `mend` began. */
  get powerLosses(): number {
    return this.#powerLosses;
  }

  /** Something has begun; its figures count from now. */
  begin(): void {
    this.#powerLosses = 0;
    this.cluster.network.countAnew();
  }

  stall(member: SimulatedMember, fault: DiskFault): void {
    this.#underway.push(member.disk.inject(fault));
  }

  /** Does it after `delayMs`, unless everything is mended before. */
  later(delayMs: number, label: string, act: () => void): void {
    const timer = this.cluster.world.after(delayMs, label, act);
    this.#underway.push({ [Symbol.dispose]: () => timer.cancel() });
  }

  async losePower(member: SimulatedMember): Promise<void> {
    if (!member.alive) return;
    this.#powerLosses++;
    await member.losePower();
  }

  /** Power losses of a random one, two or all, again and again, each with a restart soon after; often while disks are slow. */
  storm(random: Random, pauseMs = random.below(100)): void {
    this.later(pauseMs, "the storm goes on", () => {
      // A cluster that acknowledges nothing has nothing to lose.
      if (this.cluster.leader === undefined && this.#powerLosses > 0) return this.storm(random, 20 + random.below(100));
      const members = this.cluster.members.filter((member) => member.alive);
      const hit = random.below(2) === 0 ? members : shuffled(random, members).slice(0, 1 + random.below(2));
      const slowMs = random.below(3) === 0 ? 0 : 30 + random.below(200);
      const slow =
        slowMs === 0 ? [] : members.map((member) => member.disk.inject({ operations: ["datasync"], delayMs: slowMs }));
      this.#underway.push(...slow);
      this.later(slowMs === 0 ? 0 : slowMs / 2 + random.below(slowMs), "the power goes", () => {
        for (const one of slow) one[Symbol.dispose]();
        for (const member of hit) {
          void this.losePower(member);
          this.later(10 + random.below(250), `the power of ${member.name} is back`, () => {
            if (!member.alive) void member.start();
          });
        }
        this.storm(random, 80 + random.below(600));
      });
      return undefined;
    });
  }

  /** Whoever leads, by its own account, loses power after a moment, and comes back soon. */
  huntLeaders(random: Random): void {
    this.later(5, "who leads?", () => {
      const leader = this.cluster.members.find(({ running }) => running?.isLeader === true);
      if (leader === undefined) return this.huntLeaders(random);
      this.later(random.below(random.below(2) === 0 ? 20 : 150), `${leader.name} is struck`, () => {
        void this.losePower(leader);
        this.later(5 + random.below(200), `the power of ${leader.name} is back`, () => {
          if (!leader.alive) void leader.start();
        });
        this.huntLeaders(random);
      });
      return undefined;
    });
  }

  /** Ends everything that was begun, and starts who is down. Resolves when each has started or said why not. */
  async mend(): Promise<void> {
    const ended = this.#underway;
    this.#underway = [];
    for (const one of ended) one[Symbol.dispose]();
    this.cluster.healLinks();
    this.cluster.network.countAnew();
    await Promise.all(this.cluster.members.filter((member) => !member.alive).map((member) => member.start()));
  }
}

export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const left = [...items];
  return items.flatMap(() => left.splice(random.below(left.length), 1));
}
