import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Links, startLinks } from "../../links/index.ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import { UsageError } from "../errors.ts";
import type { ClusterView, FaultChannel, LaunchSpec, Target, TargetNode } from "../target.ts";
import { type Binary, gistOf } from "./binary.ts";
import { clusterView, MemberProbe } from "./cluster-view.ts";
import { etcdFlags, type MemberPlan, PORT_TAKEN } from "./etcd-flags.ts";
import { type Exit, MemberProcess } from "./member-process.ts";
import { type HeldPorts, holdPorts } from "./ports.ts";
import { ProcessJournal } from "./process-journal.ts";

export interface ProcessTargetOptions {
  readonly nodes: number;
  /** Gets `logs/`, `data/` and `processes.json`. */
  readonly runDir: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Leave the data directories when the target is disposed of; a member's takes up to 130 MB. */
  readonly keepData?: boolean;
}

const START_LIMIT_MS: DurationMs = 45_000;
const START_ATTEMPTS = 3;
/** How long a restarted member is looked after: a port that is taken or a data directory that is refused shows by then. */
const RESTART_LOOK_MS: DurationMs = 1_000;
const RESTART_PAUSE_MS: DurationMs = 200;
const PORTS_PER_NODE = 4;
const MOST_NODES = 9;
const capabilities = new Set(["processes", "links", "watch", "lease"]);

interface Node extends TargetNode {
  /** Where the proxies in front of it listen, if there are any. */
  readonly proxiedClient: string;
  readonly proxiedPeer: string;
}

interface Started {
  readonly spec: LaunchSpec;
  readonly links: Links | undefined;
  readonly plans: readonly MemberPlan[];
  readonly members: Map<string, MemberProcess>;
  readonly probes: ReadonlyMap<string, MemberProbe>;
}

/**
 * Another one for each process: two runs of one seed at once would draw the same ports, and the one could take that of a member which
 * the other has just killed.
 */
function portsRandom({ random }: ProcessTargetOptions, attempt: number): Random {
  return random.fork(`ports/${process.pid}/${attempt}`);
}

/** A cluster of processes of one binary on 127.0.0.1. */
export class ProcessTarget implements Target {
  readonly name: string;
  linksApi?: string;
  readonly #binary: Binary;
  readonly #options: ProcessTargetOptions;
  readonly #journal: ProcessJournal;
  readonly #onExit = () => {
    // Also those that were told to stop and have not yet: an etcd that lost its peers takes seconds.
    for (const started of [this.#started, this.#stopping]) {
      for (const member of started?.members.values() ?? []) member.killNow();
    }
  };
  #nodes: readonly Node[];
  #held: HeldPorts | undefined;
  #started: Started | undefined;
  #stopping: Started | undefined;

  private constructor(binary: Binary, options: ProcessTargetOptions, held: HeldPorts) {
    this.name = binary.name;
    this.#binary = binary;
    this.#options = options;
    this.#journal = new ProcessJournal(options.runDir);
    this.#held = held;
    this.#nodes = nodesOn(held.ports, options);
  }

  static async open(binary: Binary, options: ProcessTargetOptions): Promise<ProcessTarget> {
    const { nodes, runDir } = options;
    if (!Number.isInteger(nodes) || nodes < 1 || nodes > MOST_NODES)
      throw new UsageError(
        `--nodes ${nodes} is no size for a cluster; give a whole number from 1 to ${MOST_NODES}, such as 3.`,
      );
    mkdirSync(join(runDir, "logs"), { recursive: true });
    mkdirSync(join(runDir, "data"), { recursive: true });
    return new ProcessTarget(binary, options, await holdPorts(nodes * PORTS_PER_NODE, portsRandom(options, 0)));
  }

  get nodes(): readonly TargetNode[] {
    return this.#nodes;
  }

  has(capability: string): boolean {
    return capabilities.has(capability) || (capability === "fault-channel" && this.#binary.ours);
  }

  /** Resolves once every member says that it serves and answers. Rejects with UsageError, nothing left running. */
  async start(spec: LaunchSpec): Promise<void> {
    if (this.#started !== undefined) throw new Error("the target is started already");
    process.on("exit", this.#onExit);
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#startOnce(spec).catch(async (error: unknown) => {
        await this.#stop();
        throw error;
      });
      if (failure === undefined) return;
      await this.#stop();
      if (!failure.portTaken || attempt === START_ATTEMPTS) throw new UsageError(failure.message);
      for (const node of this.#nodes) rmSync(node.dataDir, { recursive: true, force: true });
      this.#held = await holdPorts(this.#nodes.length * PORTS_PER_NODE, portsRandom(this.#options, attempt));
      this.#nodes = nodesOn(this.#held.ports, this.#options);
    }
  }

  endpoint(node: string): string {
    const { proxiedClient, directClientAddress } = this.#node(node);
    return this.#started?.links === undefined ? directClientAddress : proxiedClient;
  }

  async view(signal?: AbortSignal): Promise<ClusterView> {
    const { members, probes } = this.#running();
    const readings = await Promise.all(
      this.#nodes.map(async ({ name }) => {
        const member = members.get(name);
        const probe = probes.get(name);
        const running = member !== undefined && member.exit === undefined;
        const status = running ? await probe?.status(signal) : undefined;
        const knownId = probe?.knownId;
        return {
          node: name,
          running,
          ...(running ? { pid: member.pid } : {}),
          ...(status === undefined ? {} : { status }),
          ...(knownId === undefined ? {} : { knownId }),
        };
      }),
    );
    return clusterView(readings);
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    return { [this.#binary.ours ? "seatrial store" : "etcd"]: this.#binary.version, binary: this.#binary.path };
  }

  pid(node: string): number | undefined {
    const member = this.#started?.members.get(this.#node(node).name);
    return member?.exit === undefined ? member?.pid : undefined;
  }

  /** Resolves once the process runs, not once it serves: with a majority down it cannot. Rejects if it ends at once. */
  async restart(node: string): Promise<void> {
    if (this.pid(node) !== undefined) throw new Error(`${node} is running; it can be restarted once it has ended`);
    for (let attempt = 1; ; attempt++) {
      const member = await this.#spawn(node);
      if ((await member.settled(RESTART_LOOK_MS)) !== "exited") return;
      const failure = this.#failureOf(node, member);
      if (!failure.portTaken || attempt === START_ATTEMPTS) throw new Error(failure.message);
      await this.#options.clock.sleep(RESTART_PAUSE_MS);
    }
  }

  exited(node: string): Promise<Exit> {
    const member = this.#running().members.get(this.#node(node).name);
    if (member === undefined) throw new Error(`${node} was never started`);
    return member.exited;
  }

  faultChannel(node: string): FaultChannel {
    const channel = this.#running().members.get(this.#node(node).name)?.faultChannel;
    if (channel === undefined) throw new Error(`${node} was not started with a fault channel`);
    return channel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    process.off("exit", this.#onExit);
    if (this.#options.keepData !== true) rmSync(join(this.#options.runDir, "data"), { recursive: true, force: true });
  }

  async #startOnce(spec: LaunchSpec): Promise<Failure | undefined> {
    const { clock, random } = this.#options;
    await this.#held?.release();
    this.#held = undefined;
    const links = spec.links
      ? await startLinks({ clock, seed: random.fork("links").uint32(), proxies: this.#nodes.flatMap(proxiesOf) })
      : undefined;
    if (links !== undefined) this.linksApi = links.apiUrl;
    this.#started = {
      spec,
      links,
      plans: this.#nodes.map((node) => planOf(node, links !== undefined)),
      members: new Map(),
      probes: new Map(this.#nodes.map((node) => [node.name, new MemberProbe(node.directClientAddress, clock)])),
    };
    const end = clock.now() + START_LIMIT_MS;
    const members = await Promise.all(this.#nodes.map(({ name }) => this.#spawn(name)));
    const settled = await Promise.all(members.map((member) => member.settled(START_LIMIT_MS)));
    const failed = this.#nodes.findIndex((_, index) => settled[index] !== "ready");
    const [node, member] = [this.#nodes[failed], members[failed]];
    if (node !== undefined && member !== undefined) return this.#failureOf(node.name, member);
    return this.#answering(end);
  }

  /** Saying so is not enough: each must answer. */
  async #answering(end: number): Promise<Failure | undefined> {
    const { clock } = this.#options;
    for (;;) {
      const silent = (await this.view()).nodes.find((node) => !node.reachable);
      if (silent === undefined) return undefined;
      if (clock.now() >= end)
        return {
          portTaken: false,
          message: `${silent.node} says that it serves but does not answer on ${this.#node(silent.node).directClientAddress}; its log is ${this.#node(silent.node).logFile}.`,
        };
      await clock.sleep(RESTART_PAUSE_MS);
    }
  }

  async #spawn(name: string): Promise<MemberProcess> {
    const { spec, plans, members } = this.#running();
    const plan = plans.find((one) => one.name === name);
    if (plan === undefined) throw new Error(`there is no node ${name}`);
    const flags = etcdFlags(plan, plans, {
      token: `seatrial-${this.#nodes[0]?.directPeerAddress ?? ""}`,
      version: this.#binary.version,
    });
    const member = await MemberProcess.start(
      {
        node: name,
        argv: [...spec.wrapper, this.#binary.path, ...this.#binary.words, ...flags, ...spec.extraArgs],
        env: spec.env,
        logFile: this.#node(name).logFile,
        faultChannel: spec.faultChannel && this.#binary.ours,
      },
      this.#options.clock,
      this.#journal,
    );
    members.set(name, member);
    return member;
  }

  #failureOf(name: string, member: MemberProcess): Failure {
    const said = member.said();
    const { logFile } = this.#node(name);
    const exit = member.exit;
    if (exit === undefined)
      return {
        portTaken: false,
        message: `${name} was not ready within ${START_LIMIT_MS / 1000} s; its last words were ${gistOf(said)}, its log is ${logFile}.`,
      };
    const how = exit.signal === null ? `exit code ${exit.code}` : exit.signal;
    return {
      portTaken: PORT_TAKEN.test(said),
      message: `${name} ended while it started (${how}); its last words were ${gistOf(said)}, its log is ${logFile}.`,
    };
  }

  async #stop(): Promise<void> {
    await this.#held?.release();
    this.#held = undefined;
    const started = this.#started;
    this.#started = undefined;
    this.#stopping = started;
    if (started === undefined) return;
    // First: a member that stops gracefully waits for its clients to leave.
    for (const probe of started.probes.values()) probe.close();
    const ended = await Promise.allSettled([...started.members.values()].map((member) => member.end()));
    await started.links?.[Symbol.asyncDispose]();
    delete this.linksApi;
    const stuck = ended.find((one) => one.status === "rejected");
    if (stuck !== undefined) throw stuck.reason;
    this.#stopping = undefined;
  }

  #node(name: string): Node {
    const node = this.#nodes.find((one) => one.name === name);
    if (node === undefined)
      throw new Error(`there is no node ${name}; there are ${this.#nodes.map((one) => one.name).join(", ")}`);
    return node;
  }

  #running(): Started {
    if (this.#started === undefined) throw new Error("the target is not started");
    return this.#started;
  }
}

interface Failure {
  readonly portTaken: boolean;
  /** One sentence for the user. */
  readonly message: string;
}

function nodesOn(ports: readonly number[], options: ProcessTargetOptions): readonly Node[] {
  return Array.from({ length: options.nodes }, (_, index) => {
    const name = `n${index + 1}`;
    const [client, peer, proxiedClient, proxiedPeer] = ports
      .slice(index * PORTS_PER_NODE, (index + 1) * PORTS_PER_NODE)
      .map((port) => `127.0.0.1:${port}`);
    if (client === undefined || peer === undefined || proxiedClient === undefined || proxiedPeer === undefined)
      throw new Error(`too few ports for ${name}`);
    return {
      name,
      directClientAddress: client,
      directPeerAddress: peer,
      proxiedClient,
      proxiedPeer,
      dataDir: join(options.runDir, "data", name),
      logFile: join(options.runDir, "logs", `${name}.log`),
    };
  });
}

function planOf(node: Node, links: boolean): MemberPlan {
  return {
    name: node.name,
    dataDir: node.dataDir,
    client: node.directClientAddress,
    peer: node.directPeerAddress,
    advertisedClient: links ? node.proxiedClient : node.directClientAddress,
    advertisedPeer: links ? node.proxiedPeer : node.directPeerAddress,
  };
}

function proxiesOf(node: Node) {
  return [
    { name: `client-${node.name}`, upstream: node.directClientAddress, listen: node.proxiedClient },
    { name: `peer-${node.name}`, upstream: node.directPeerAddress, listen: node.proxiedPeer },
  ];
}
