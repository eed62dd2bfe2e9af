import type { Json } from "knossos-ts";
import { seededRandom, type Random } from "../../../seams/random.ts";
import type { SimulatedMember } from "../../../simulation/member.ts";
import type { Fault, Phase, ProbeReading } from "../../fault.ts";
import type { ClusterView, Target } from "../../target.ts";
import { SimulationTarget } from "./target.ts";
import { shuffled, type Unrest } from "./unrest.ts";

/** Whom, and everything drawn for it, so that an injection is a function of its plan. */
interface Resolved {
  readonly [name: string]: Json;
  readonly first: string;
  readonly others: readonly string[];
  readonly draw: number;
}
interface Plan {
  readonly [name: string]: Json;
  /** The leader comes first, or these names in this order. */
  readonly leaderFirst: boolean;
  readonly order: readonly string[];
  readonly draw: number;
}

interface Deed {
  readonly name: string;
  readonly summary: string;
  readonly on: (resolved: Resolved) => readonly string[];
  readonly begin: (unrest: Unrest, first: SimulatedMember, others: readonly SimulatedMember[], random: Random) => void;
  /** What the world shows of it while it lasts. */
  readonly shows: (unrest: Unrest, first: SimulatedMember, others: readonly SimulatedMember[]) => ProbeReading;
}

/** The life that all faults of the simulation have in common: evidence is read from the world, healing is the same for all. */
function simulated(deed: Deed): Fault<Plan, Resolved, Json> {
  return {
    name: deed.name,
    summary: deed.summary,
    envelope: "within",
    needs: ["simulation"],
    plan: (random, nodes) => ({
      leaderFirst: random.below(3) > 0,
      order: shuffled(random, nodes),
      draw: random.uint32(),
    }),
    resolve({ leaderFirst, order, draw }, view: ClusterView) {
      const first = (leaderFirst ? view.leader : undefined) ?? order[0] ?? "n1";
      return { first, others: order.filter((name) => name !== first), draw };
    },
    on: deed.on,
    undo: () => null,
    async inject({ target }, { first, others, draw }) {
      const { unrest } = simulationOf(target);
      unrest.begin();
      deed.begin(
        unrest,
        unrest.cluster.member(first),
        others.map((name) => unrest.cluster.member(name)),
        seededRandom(draw),
      );
    },
    async probe({ target }, { first, others }, phase: Phase) {
      const { unrest } = simulationOf(target);
      if (phase !== "during") return calm(unrest);
      return deed.shows(
        unrest,
        unrest.cluster.member(first),
        others.map((name) => unrest.cluster.member(name)),
      );
    },
    async heal(_undo, target) {
      // The world is gone with the harness that made it.
      if (target !== undefined) await simulationOf(target).unrest.mend();
    },
  };
}

function simulationOf(target: Target): SimulationTarget {
  if (!(target instanceof SimulationTarget)) throw new Error(`${target.name} is no simulation`);
  return target;
}

function reading(holds: boolean, text: string): ProbeReading {
  return { holds, text };
}

function calm({ cluster }: Unrest): ProbeReading {
  const down = cluster.members.filter((member) => !member.alive);
  if (down.length > 0)
    return reading(false, `${down.map(({ name }) => name).join(", ")} ${down.length === 1 ? "is" : "are"} down`);
  const { sent, lost } = between(cluster.members, cluster.members, cluster.network);
  const leader = cluster.leader;
  if (leader === undefined) return reading(false, "no leader is followed by a majority");
  return reading(
    lost === 0,
    `all ${cluster.members.length} members run, ${leader.name} leads, ${lost} of ${sent} messages between them were lost`,
  );
}

function between(
  from: readonly SimulatedMember[],
  to: readonly SimulatedMember[],
  network: Unrest["cluster"]["network"],
): { sent: number; lost: number; slowestMs: number } {
  const sum = { sent: 0, lost: 0, slowestMs: 0 };
  for (const a of from) {
    for (const b of to) {
      const { sent, lost, slowestMs } = network.figures(a.id, b.id);
      sum.sent += sent;
      sum.lost += lost;
      sum.slowestMs = Math.max(sum.slowestMs, slowestMs);
    }
  }
  return sum;
}

const onFirst = ({ first }: Resolved) => [first];
const onAll = ({ first, others }: Resolved) => [first, ...others];

const powerLoss = simulated({
  name: "power-loss",
  summary: "a member loses power and with it what it did not sync; it is started again at heal",
  on: onFirst,
  begin: (unrest, first) => void unrest.losePower(first),
  shows: (_unrest, first) =>
    reading(
      !first.alive,
      first.alive
        ? `${first.name} runs`
        : `life ${first.lives} of ${first.name} is over, its unsynced writes are at the mercy of the seed`,
    ),
});

const powerStorm = simulated({
  name: "power-storm",
  summary: "one, two or all members lose power again and again, often while disks are slow",
  on: onAll,
  begin: (unrest, _first, _others, random) => unrest.storm(random),
  shows: ({ powerLosses }) => reading(powerLosses > 0, `${powerLosses} power losses so far`),
});

const leaderLoss = simulated({
  name: "leader-loss",
  summary:
    "whoever leads loses power soon after its election, again and again, while messages are late and those of one member very late",
  on: onAll,
  begin(unrest, first, others, random) {
    const { network } = unrest.cluster;
    const all = [first, ...others];
    for (const a of all) {
      for (const b of all)
        if (a !== b) network.shape(a.id, b.id, { delayMs: [0.1, [1, 5, 20, 80][random.below(4)] ?? 1] });
    }
    unrest.huntLeaders(random);
    if (random.below(3) === 0) return;
    // One member hears the others late, and one of them hears it late: what it was promised in one election arrives in the next.
    const [second, ...rest] = others;
    const lateMs = 200 + random.below(500);
    if (second !== undefined) network.shape(second.id, first.id, { delayMs: [50, lateMs] });
    for (const { id } of rest) {
      network.shape(id, first.id, { delayMs: [50, lateMs] });
      network.shape(first.id, id, { delayMs: [50, lateMs] });
    }
  },
  shows: ({ powerLosses }) => reading(powerLosses > 0, `${powerLosses} leaders lost power so far`),
});

const partition = simulated({
  name: "partition",
  summary: "a member is cut off from all others, both ways; clients still reach it",
  on: onFirst,
  begin: ({ cluster }, first, others) =>
    cluster.network.partition(
      [first.id],
      others.map(({ id }) => id),
    ),
  shows: ({ cluster }, first, others) =>
    allLost(between([first], others, cluster.network), between(others, [first], cluster.network), first.name),
});

const oneWay = simulated({
  name: "partition-one-way",
  summary: "a member is heard but hears nothing, or hears but is not heard; clients still reach it",
  on: onFirst,
  begin({ cluster }, first, others, random) {
    const deaf = random.below(2) === 0;
    for (const { id } of others) cluster.network.shape(deaf ? id : first.id, deaf ? first.id : id, { cut: true });
  },
  shows({ cluster }, first, others) {
    const out = between([first], others, cluster.network);
    const into = between(others, [first], cluster.network);
    const [cut, open] = out.lost > 0 ? [out, into] : [into, out];
    return reading(
      cut.lost > 0 && cut.lost === cut.sent && open.lost === 0,
      `${first.name}: ${cut.lost} of ${cut.sent} messages ${cut === out ? "from" : "to"} it were lost, ${open.lost} of ${open.sent} the other way`,
    );
  },
});

const flaky = simulated({
  name: "flaky-links",
  summary: "messages between members are late by up to most of a second, overtake each other, or get lost",
  on: onAll,
  begin({ cluster }, first, others, random) {
    const all = [first, ...others];
    for (const a of all) {
      for (const b of all) {
        if (a === b) continue;
        const mostMs = [5, 40, 250, 700][random.below(4)] ?? 5;
        cluster.network.shape(a.id, b.id, { delayMs: [0.1, mostMs], lossPermille: random.below(150) });
      }
    }
  },
  shows({ cluster }) {
    const { sent, lost, slowestMs } = between(cluster.members, cluster.members, cluster.network);
    return reading(
      lost > 0 || slowestMs > 5,
      `${lost} of ${sent} messages were lost, the slowest of the others took ${Math.round(slowestMs)} ms`,
    );
  },
});

const slowLinks = simulated({
  name: "slow-links",
  summary: "every message between members takes about as long as an election may",
  on: onAll,
  begin({ cluster }, first, others, random) {
    const mostMs = 200 + random.below(500);
    const leastMs = random.below(mostMs / 2);
    for (const a of [first, ...others])
      for (const b of [first, ...others])
        if (a !== b) cluster.network.shape(a.id, b.id, { delayMs: [leastMs, mostMs] });
  },
  shows({ cluster }) {
    const { slowestMs } = between(cluster.members, cluster.members, cluster.network);
    return reading(slowestMs > 50, `the slowest message took ${Math.round(slowestMs)} ms`);
  },
});

const lateAnswers = simulated({
  name: "late-answers",
  summary:
    "what is sent to a member comes later and later; then nobody hears that member any more, while old answers still reach it",
  on: onFirst,
  begin(unrest, first, others, random) {
    const { network } = unrest.cluster;
    const lateMs = 500 + random.below(800);
    // Step by step: a leader that hears nothing for an election timeout gives up by itself.
    const grow = (delayMs: number): void => {
      for (const { id } of others) network.shape(id, first.id, { delayMs: [delayMs, delayMs + 5] });
      if (delayMs < lateMs) return unrest.later(25, `messages to ${first.name} come later`, () => grow(delayMs + 50));
      return unrest.later(random.below(300), `${first.name} is no longer heard`, () => {
        for (const { id } of others) network.shape(first.id, id, { cut: true });
      });
    };
    grow(50);
  },
  shows({ cluster }, first, others) {
    const { slowestMs } = between(others, [first], cluster.network);
    return reading(
      slowestMs > 200,
      `messages to ${first.name} take up to ${Math.round(slowestMs)} ms, ${between([first], others, cluster.network).lost} from it were lost`,
    );
  },
});

const slowDisks = simulated({
  name: "slow-disks",
  summary: "datasync takes tens to hundreds of milliseconds longer on some members",
  on: onAll,
  begin(unrest, first, others, random) {
    for (const member of [first, ...others]) {
      const delayMs = [0, 30, 200, 800][random.below(4)] ?? 0;
      unrest.stall(member, { operations: ["datasync"], delayMs: member === first ? Math.max(100, delayMs) : delayMs });
    }
  },
  shows: (_unrest, first) =>
    reading(
      first.disk.slowestSyncMs >= 100,
      `the slowest datasync on ${first.name} is to take ${Math.round(first.disk.slowestSyncMs)} ms`,
    ),
});

const clientLinks = simulated({
  name: "client-links",
  summary: "requests and answers of clients are late, or never arrive",
  on: onAll,
  begin({ cluster }, first, others, random) {
    for (const member of [first, ...others]) {
      member.clients.countAnew();
      member.clientShape = {
        delayMs: [0.05, 5 + random.below(150)],
        lostRequestPermille: random.below(80),
        lostAnswerPermille: 20 + random.below(80),
      };
    }
    cluster.world.trace("client links are bad");
  },
  shows({ cluster }) {
    const lost = cluster.members.reduce((sum, { clients }) => sum + clients.lost, 0);
    const slowestMs = Math.max(...cluster.members.map(({ clients }) => clients.slowestMs));
    return reading(
      lost > 0 || slowestMs > 2,
      `${lost} requests or answers of clients were lost, others took up to ${Math.round(slowestMs)} ms`,
    );
  },
});

function allLost(
  one: { sent: number; lost: number },
  other: { sent: number; lost: number },
  name: string,
): ProbeReading {
  const sent = one.sent + other.sent;
  const lost = one.lost + other.lost;
  return reading(sent > 0 && lost === sent, `${lost} of ${sent} messages from and to ${name} were lost`);
}

/** Every fault of the simulation, in the order that people see them. */
export const simulatedFaults: readonly Fault[] = [
  powerLoss,
  powerStorm,
  leaderLoss,
  partition,
  oneWay,
  lateAnswers,
  slowLinks,
  flaky,
  slowDisks,
  clientLinks,
];
