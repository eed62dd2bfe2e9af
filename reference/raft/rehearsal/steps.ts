import * as fc from "fast-check";
import { seededRandom } from "../../../seams/random.ts";
import type { ConfChange, PureRules, RaftCore } from "../types.ts";
import { Cluster, usualTuning } from "./cluster.ts";
import type { Member } from "./member.ts";

/**
 * What may befall a cluster. Messages are named by number, taken modulo how many there are; members likewise,
 * among those who believe they lead, the voters, or all of them. `without` is the member that is left out, if any.
 */
export type Step =
  | { readonly do: "tick"; readonly member: number; readonly times: number }
  | { readonly do: "deliverOldest"; readonly count: number }
  | { readonly do: "calm"; readonly rounds: number; readonly without: number }
  | { readonly do: "deliver" | "drop" | "duplicate"; readonly position: number }
  | { readonly do: "isolate"; readonly member: number }
  | { readonly do: "heal" }
  | { readonly do: "campaign" | "crash" | "restart" | "propose" | "read" | "compact"; readonly member: number }
  | { readonly do: "persist" | "apply"; readonly member: number; readonly count: number }
  /** Campaigns and lets the answers arrive. */
  | { readonly do: "elect"; readonly member: number; readonly rounds: number; readonly without: number }
  | { readonly do: "transfer"; readonly member: number; readonly to: number }
  | { readonly do: "change"; readonly member: number; readonly type: ConfChange["type"]; readonly node: number };

export interface World {
  readonly voters: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  readonly maxBytesPerAppend: number;
  readonly maxInflightAppends: number;
  readonly isDiskSlow: boolean;
  readonly isApplySlow: boolean;
  /** Whether a leader may be asked to remove itself. */
  readonly removesLeaders: boolean;
  readonly seed: number;
}

const member = fc.noBias(fc.nat({ max: 59 }));
const position = fc.noBias(fc.nat({ max: 59 }));
const few = fc.integer({ min: 1, max: 3 });

function alone<K extends "campaign" | "crash" | "restart" | "propose" | "read" | "compact">(what: K) {
  return fc.record({ do: fc.constant(what), member });
}

const elect = fc.record({
  do: fc.constant("elect" as const),
  member,
  rounds: fc.integer({ min: 2, max: 7 }),
  without: member,
});

/** Leaders that follow each other quickly, each heard by some only: what Raft's figure 8 is made of. */
export const duelStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: elect },
  { weight: 1, arbitrary: alone("propose") },
);

/** Weighted so that leaders come and go, and entries commit often enough for something to be lost. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("deliverOldest" as const), count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("deliver" as const), position }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("calm" as const), rounds: fc.integer({ min: 1, max: 9 }), without: member }),
  },
  { weight: 6, arbitrary: elect },
  { weight: 2, arbitrary: alone("campaign") },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), position }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("duplicate" as const), position }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("tick" as const), member, times: fc.integer({ min: 1, max: 21 }) }),
  },
  { weight: 6, arbitrary: alone("propose") },
  { weight: 5, arbitrary: alone("read") },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("persist" as const), member, count: few }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("apply" as const), member, count: few }) },
  { weight: 2, arbitrary: alone("crash") },
  { weight: 6, arbitrary: alone("restart") },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("isolate" as const), member }) },
  { weight: 2, arbitrary: fc.constant({ do: "heal" as const }) },
  { weight: 1, arbitrary: alone("compact") },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("transfer" as const), member, to: member }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("change" as const),
      member,
      node: member,
      type: fc.constantFrom<ConfChange["type"]>("addVoter", "addLearner", "remove"),
    }),
  },
);

export const anyWorld: fc.Arbitrary<World> = fc.record({
  voters: fc.constantFrom(1, 2, 3, 3, 3, 5),
  preVote: fc.boolean(),
  checkQuorum: fc.boolean(),
  maxBytesPerAppend: fc.constantFrom(1, 8, 1024),
  maxInflightAppends: fc.constantFrom(1, 3, 16),
  isDiskSlow: fc.boolean(),
  isApplySlow: fc.boolean(),
  removesLeaders: fc.boolean(),
  seed: fc.nat(),
});

export interface Plant {
  readonly rules: PureRules;
  decorate?(core: RaftCore): RaftCore;
}

/** Two more members run beside the voters, so that there is somebody to add. */
const SPARES = 2;

const MAX_CAMPAIGNS = 4;

/** A cluster that steps befall. */
export class Run {
  readonly cluster: Cluster;
  readonly #members: readonly Member[];
  readonly #mustSee = new Map<string, Parameters<Cluster["monitor"]["reads"]>[2]>();
  readonly #voters: number;
  readonly #removesLeaders: boolean;
  #proposals = 0;
  #reads = 0;
  #readsAnswered = 0;

  constructor(world: World, plant: Plant) {
    this.#voters = world.voters;
    this.#removesLeaders = world.removesLeaders;
    const random = seededRandom(world.seed);
    const ids = Array.from({ length: world.voters + SPARES }, (_, i) => i + 1);
    this.cluster = new Cluster({
      voters: ids.slice(0, world.voters),
      learners: [],
      spares: ids.slice(world.voters),
      tuning: {
        ...usualTuning,
        preVote: world.preVote,
        checkQuorum: world.checkQuorum,
        maxBytesPerAppend: world.maxBytesPerAppend,
        maxInflightAppends: world.maxInflightAppends,
      },
      random: (id) => random.fork(String(id)),
      ...plant,
    });
    this.#members = [...this.cluster.members.values()];
    for (const one of this.#members) {
      one.isDiskSlow = world.isDiskSlow;
      one.isApplySlow = world.isApplySlow;
    }
    this.cluster.onRead = (reader, { index, context }) => {
      this.#readsAnswered++;
      const mustSee = this.#mustSee.get(new TextDecoder().decode(context));
      if (mustSee !== undefined) this.cluster.monitor.reads(reader.id, index, mustSee);
    };
  }

  get readsAnswered(): number {
    return this.#readsAnswered;
  }

  #member(number: number): Member {
    if (number < 20) {
      const leaders = this.#members.filter((one) => one.core?.status().role === "leader");
      if (leaders.length > 0) return leaders[number % leaders.length] as Member;
    }
    return this.#members[number % (number < 50 ? this.#voters : this.#members.length)] as Member;
  }

  #oneThatIsDown(number: number): Member | undefined {
    const down = this.#members.filter((one) => one.core === undefined);
    return down[number % Math.max(1, down.length)];
  }

  take(step: Step): void {
    this.#perform(step);
    this.cluster.reportLostSnapshots();
  }

  #perform(step: Step): void {
    const { cluster } = this;
    switch (step.do) {
      case "deliverOldest":
        for (let i = 0; i < step.count; i++) cluster.deliver(0);
        break;
      case "deliver":
      case "drop":
      case "duplicate":
        if (cluster.inFlight.length > 0) cluster[step.do](step.position % cluster.inFlight.length);
        break;
      case "heal":
        cluster.cuts.clear();
        break;
      case "calm":
        this.#calm(step.rounds, step.without);
        break;
      case "isolate": {
        const { id } = this.#member(step.member);
        cluster.cuts.clear();
        cluster.cut(this.#members.flatMap((other) => [`${id}->${other.id}`, `${other.id}->${id}`]));
        break;
      }
      default:
        this.#performOn(this.#member(step.member), step);
    }
  }

  /** Everything on its way arrives, in order, and every disk catches up, a few times over; all but what concerns one member. */
  #calm(rounds: number, without: number): void {
    const left = without < 15 ? undefined : this.#members[without % this.#voters];
    const { cluster } = this;
    for (let round = 0; round < rounds; round++) {
      for (const one of this.#members) {
        if (one === left) continue;
        one.persist(Infinity);
        one.apply(Infinity);
      }
      let position = 0;
      for (let due = cluster.inFlight.length; due > 0; due--) {
        const message = cluster.inFlight[position];
        if (left !== undefined && (message?.from === left.id || message?.to === left.id)) position++;
        else cluster.deliver(position);
      }
      cluster.reportLostSnapshots();
    }
  }

  #performOn(one: Member, step: Extract<Step, { member: number }>): void {
    switch (step.do) {
      case "tick":
        for (let i = 0; i < step.times; i++) one.act((core) => core.tick());
        break;
      case "campaign":
        one.act((core) => core.campaign());
        break;
      case "elect":
        this.#outbid(one);
        this.#calm(step.rounds, step.without);
        break;
      case "propose":
        this.propose(one);
        break;
      case "read":
        this.read(one);
        break;
      case "transfer":
        one.act((core) => core.transferLeader(this.#member(step.to).id));
        break;
      case "change":
        this.#change(one, { type: step.type, node: this.#member(step.node).id });
        break;
      case "persist":
        one.persist(step.count);
        break;
      case "apply":
        one.apply(step.count);
        break;
      case "crash":
      case "compact":
        one[step.do]();
        break;
      case "restart":
        this.#oneThatIsDown(step.member)?.restart();
        break;
      case "isolate":
        break;
    }
  }

  /** Campaigns as often as it takes to reach a term that nobody is in. */
  #outbid(one: Member): void {
    const highest = Math.max(...this.#members.map((other) => other.core?.status().term ?? 0));
    for (let tries = 0; tries < MAX_CAMPAIGNS; tries++) {
      one.act((core) => core.campaign());
      if ((one.core?.status().term ?? 0) > highest) return;
    }
  }

  propose(one: Member): void {
    this.#proposals++;
    const data = new TextEncoder().encode(`value ${this.#proposals}`);
    one.act((core) => core.propose(data));
  }

  read(one: Member): void {
    this.#reads++;
    const context = `read ${this.#reads}`;
    this.#mustSee.set(context, this.cluster.monitor.readMustSee);
    one.act((core) => core.readIndex(new TextEncoder().encode(context)));
  }

  #change(one: Member, change: ConfChange): void {
    one.act((core) => {
      const {
        role,
        confState: { voters },
      } = core.status();
      if (!this.#removesLeaders && change.type !== "addVoter" && (role !== "leader" || change.node === one.id)) return;
      // Nobody can undo the removal of the last voter.
      if (change.type !== "addVoter" && voters.length === 1 && voters.includes(change.node)) return;
      core.proposeConfChange(change, new Uint8Array(0));
    });
  }

  /** All faults end: returns whether the members then agree on one leader's log, a new entry and a read within `ticks`. */
  recovers(ticks: number): boolean {
    this.cluster.cuts.clear();
    for (const one of this.#members) {
      one.isDiskSlow = false;
      one.isApplySlow = false;
      one.restart();
      one.persist(Infinity);
      one.apply(Infinity);
    }
    for (let tick = 0; tick < ticks; tick++) {
      for (const one of this.#members) one.act((core) => core.tick());
      // A bounded part of what is under way each tick: members that answer each other for ever must not hold up the clock.
      for (let left = this.cluster.inFlight.length * 20; left > 0 && this.cluster.inFlight.length > 0; left--)
        this.cluster.deliver(0);
      this.cluster.reportLostSnapshots();
    }
    const leader = this.#members.find((one) => one.core?.status().role === "leader");
    if (leader === undefined) return false;
    const before = this.#readsAnswered;
    this.propose(leader);
    this.read(leader);
    while (this.cluster.inFlight.length > 0) this.cluster.deliver(0);
    const status = leader.core?.status();
    if (status === undefined || status.applied !== status.lastIndex || this.#readsAnswered === before) return false;
    return this.#members.every((one) => {
      const of = one.core?.status();
      const isMember = status.confState.voters.includes(one.id) || status.confState.learners.includes(one.id);
      return !isMember || of?.lastIndex === status.lastIndex;
    });
  }
}

/** Steps as fast-check commands: the model is nothing, the monitor is the judge. */
export class StepCommand implements fc.Command<object, Run> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check(): boolean {
    return true;
  }

  run(_model: object, run: Run): void {
    run.take(this.#step);
    const { violation } = run.cluster.monitor;
    if (violation !== undefined) throw new Error(`${violation.property}: ${violation.what}`);
  }

  toString(): string {
    const { do: what, ...numbers } = this.#step;
    return `${what}(${Object.values(numbers).join(", ")})`;
  }
}
