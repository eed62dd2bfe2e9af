import type { Finding, Verdict } from "knossos-ts";
import type { Clock } from "../../../seams/clock.ts";
import { simulatedClock } from "../../../simulation/clock.ts";
import { SimulatedCluster } from "../../../simulation/cluster.ts";
import { plants } from "../../../simulation/plants/index.ts";
import { World } from "../../../simulation/world.ts";
import { etcdClientOver } from "../../clients/etcd.ts";
import { UsageError } from "../../errors.ts";
import { sleepUnlessAborted } from "../../runner/nemesis.ts";
import { suiteVerdict, type SuiteVerdict } from "../../runner/trial.ts";
import type { EtcdClient } from "../../suite.ts";
import type { ClusterView, Target, TargetNode } from "../../target.ts";
import { simulatedCalls } from "./calls.ts";
import { Unrest } from "./unrest.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Name of a bug in every member. */
  readonly plant?: string;
  /** Keeps the world's trace for reading. */
  readonly keepTrace?: boolean;
}

/** The bugs that may be put into every member. */
export const plantNames: readonly string[] = plants.map(({ name }) => name);

/** How long the members may take, after the last read, to have applied the same entries. */
const LEVEL_WITHIN_MS = 20_000;

/**
 * The store's members in a world of their own. The ordinary runner drives it: its clock is the world's, so that load, faults and probes
 * happen in simulated time, and one seed is one run. Whatever awaits this target's clock must run within `conduct`.
 */
export class SimulationTarget implements Target {
  readonly name = "simulation";
  readonly nodes: readonly TargetNode[];
  readonly clock: Clock;
  readonly cluster: SimulatedCluster;
  /** What faults do to the cluster. */
  readonly unrest: Unrest;
  readonly #world: World;
  readonly #plant: string | undefined;

  constructor(options: SimulationOptions) {
    const plant = plants.find((one) => one.name === options.plant);
    if (options.plant !== undefined && plant === undefined) {
      throw new UsageError(`there is no planted bug '${options.plant}'; there is ${plantNames.join(", ")}.`);
    }
    this.#plant = options.plant;
    this.#world = new World(options.seed, { keepTrace: options.keepTrace ?? false });
    this.clock = simulatedClock(this.#world.begin("harness"));
    this.cluster = new SimulatedCluster(this.#world, {
      members: options.nodes,
      ...(plant === undefined ? {} : { plant }),
    });
    this.unrest = new Unrest(this.cluster);
    this.nodes = this.cluster.members.map(({ name }) => ({
      name,
      directClientAddress: name,
      directPeerAddress: name,
      dataDir: `/${name}`,
      logFile: "",
    }));
  }

  /** Hash of everything that has happened in the world: the same for the same seed, on every machine. */
  get traceHash(): string {
    return this.#world.traceHash;
  }

  get trace(): readonly string[] {
    return this.#world.lines;
  }

  has(capability: string): boolean {
    return capability === "simulation" || capability === "watch" || capability === "lease";
  }

  /**
   * Lets the world run until `work` calls `leave` or settles. Work that goes on after `leave` (judging, files) is in real time.
   * Rejects if nothing is left to happen that could settle it.
   */
  async conduct<T>(work: (leave: () => void) => Promise<T>): Promise<T> {
    const state = { left: false };
    const leave = (): void => void (state.left = true);
    const working = work(leave);
    working.then(leave, leave);
    const end = await this.#world.run({ done: () => state.left });
    if (end === "idle" && !state.left)
      throw new Error(`the world stands still at ${this.#world.nowMs} ms, and somebody still waits`);
    return working;
  }

  async start(): Promise<void> {
    await this.cluster.start();
  }

  endpoint(node: string): string {
    return this.cluster.member(node).name;
  }

  connect(address: string): EtcdClient {
    return etcdClientOver(simulatedCalls(this.cluster.member(address).clients), { clock: this.clock });
  }

  async view(): Promise<ClusterView> {
    const leader = this.cluster.leader?.name;
    const nodes = this.cluster.members.map((member) => {
      const running = member.running;
      const reachable = running !== undefined && !running.installing;
      return {
        node: member.name,
        memberId: member.id.toString(16),
        running: member.alive,
        reachable,
        leader: member.name === leader,
        ...(reachable ? { term: running.term, revision: running.machine.mvcc.currentRevision } : {}),
      };
    });
    return { nodes, ...(leader === undefined ? {} : { leader }) };
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    return {
      simulation: "the reference store of this checkout",
      ...(this.#plant === undefined ? {} : { "planted bug": this.#plant }),
    };
  }

  pid(): undefined {
    return undefined;
  }

  async restart(node: string): Promise<void> {
    await this.cluster.member(node).start();
  }

  exited(): Promise<never> {
    return Promise.reject(new Error("simulated members are no processes"));
  }

  /** The end: waits until the members are level and compares what they hold. */
  async [Symbol.asyncDispose](): Promise<void> {
    const end = this.clock.now() + LEVEL_WITHIN_MS;
    while (!this.cluster.level && this.clock.now() < end) await sleepUnlessAborted(this.clock, 100, undefined);
    if (this.cluster.level) this.cluster.compare();
    else if (this.cluster.members.every((member) => member.alive))
      this.cluster.say(`the members did not come level within ${LEVEL_WITHIN_MS / 1000} s of the last read`);
    this.cluster.stop();
  }

  /** What was watched from outside, as a suite's verdict among the others. */
  verdict(): SuiteVerdict {
    const { violations } = this.cluster;
    const findings = violations.map((message): Finding => ({ kind: "invariant", message, operations: [] }));
    const verdict: Verdict = {
      valid: findings.length === 0,
      checker: "simulation",
      findings,
      stats: { events: this.#world.events },
    };
    return suiteVerdict(
      {
        name: "simulation/members",
        guarantee:
          "One leader a term, one committed entry an index, every member starts again after any crash, and all hold the same in the end.",
      },
      [verdict],
    );
  }
}
