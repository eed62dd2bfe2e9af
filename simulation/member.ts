import type { MemberConfig, MemberSpec } from "../reference/etcd-server/config.ts";
import { Member } from "../reference/etcd-server/member.ts";
import { createRaft } from "../reference/raft/raft.ts";
import { pureRules } from "../reference/raft/rules.ts";
import { directServices, type DirectServices } from "../reference/transport/direct.ts";
import { assert } from "../seams/assert.ts";
import type { NodeId } from "../seams/network.ts";
import { SimulatedBackend } from "./backend.ts";
import { CALM_CLIENT_LINK, ClientLinks, type ClientLinkShape } from "./client-link.ts";
import { simulatedClock } from "./clock.ts";
import { SimulatedDisk } from "./disk.ts";
import type { RaftWitness } from "./invariants.ts";
import type { SimulatedNetwork } from "./network.ts";
import type { Plant } from "./plant.ts";
import type { Life, World } from "./world.ts";

export interface MemberParts {
  readonly world: World;
  readonly network: SimulatedNetwork;
  /** Of all members, this one too. */
  readonly names: readonly string[];
  readonly name: string;
  readonly plant: Plant | undefined;
  readonly witness: RaftWitness;
  /** Told what a member of a correct store never does. */
  readonly say: (violation: string) => void;
}

/** Elections within half a second, small segments and snapshots: what takes minutes elsewhere happens many times in a trial of seconds. */
const SHAPE = {
  heartbeatMs: 20,
  electionTicks: 10,
  electionTickAdvance: true,
  snapshotCount: 400,
  catchUpEntries: 100,
  maxRequestBytes: 1_572_864,
  maxTxnOps: 128,
  progressNotifyMs: 2_000,
  wal: { segmentBytes: 64 * 1024, allocateStepBytes: 16 * 1024 },
} as const;

/** One member over its lives: its disk and backend stay, everything else is new after a crash. */
export class SimulatedMember {
  readonly name: string;
  readonly id: NodeId;
  readonly disk: SimulatedDisk;
  readonly clients: ClientLinks;
  clientShape: ClientLinkShape = CALM_CLIENT_LINK;
  readonly #parts: MemberParts;
  readonly #backend: SimulatedBackend;
  #life: Life | undefined;
  #member: Member | undefined;
  #services: DirectServices | undefined;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.name = parts.name;
    this.id = BigInt(parts.names.indexOf(parts.name) + 1) as NodeId;
    this.disk = new SimulatedDisk(parts.world, parts.name);
    this.#backend = new SimulatedBackend(parts.world, parts.name);
    this.clients = new ClientLinks(parts.world, parts.name, () => ({
      name: this.name,
      shape: this.clientShape,
      life: this.#life,
      services: this.#services,
    }));
  }

  /** The store's member while it runs. */
  get running(): Member | undefined {
    return this.#life?.alive === true ? this.#member : undefined;
  }

  /** It runs, or is about to. */
  get alive(): boolean {
    return this.#life?.alive === true;
  }

  /** How many lives it has had. */
  get lives(): number {
    return this.#life?.number ?? 0;
  }

  /** Begins a new life. Resolves when the member serves, or has ended before it did. */
  async start(): Promise<void> {
    assert(!this.alive, `${this.name} runs already`);
    const { world, network, plant, witness } = this.#parts;
    const life = world.begin(this.name);
    this.#life = life;
    const disk = this.disk.connect(life);
    const backend = this.#backend.connect(life);
    const makeRaft = plant?.makeRaft ?? createRaft;
    const starting = Member.start(this.#config(), {
      clock: simulatedClock(life),
      disk: plant?.disk?.(disk) ?? disk,
      backend: plant?.backend?.(backend) ?? backend,
      network: network.join(this.id, life),
      random: world.random.fork(`member ${life.label}`),
      log: (level, message, fields) =>
        world.trace(`${life.label} ${level} ${message}${fields === undefined ? "" : ` ${JSON.stringify(fields)}`}`),
      makeRaft: (config) => witness.watch(config, makeRaft(config)),
      ...(plant?.makeStateMachine === undefined ? {} : { makeStateMachine: plant.makeStateMachine }),
    });
    const over = new Promise<void>((resolve) => life.onEnd(resolve));
    await Promise.race([over, this.#serve(life, starting)]);
  }

  async #serve(life: Life, starting: Promise<Member>): Promise<void> {
    let member: Member;
    try {
      member = await starting;
    } catch (error) {
      this.#refuse(life, `${this.name} refuses to start: ${messageOf(error)}`);
      return;
    }
    if (!life.alive) return;
    this.#member = member;
    this.#services = directServices(member);
    member.ended.then(
      ({ cause }) => this.#refuse(life, `${this.name} stopped by itself: ${messageOf(cause)}`),
      () => undefined,
    );
  }

  #refuse(life: Life, violation: string): void {
    if (!life.alive) return;
    this.#parts.say(violation);
    life.end();
  }

  /** kill -9: what it wrote stays, synced or not. */
  halt(): void {
    this.#life?.end();
    this.#member = undefined;
    this.#services = undefined;
  }

  /** The power goes: what was not synced may be gone. Resolves when disk and backend hold what the next life will find. */
  async losePower(): Promise<void> {
    this.halt();
    this.disk.losePower();
    await this.#backend.losePower();
  }

  #config(): MemberConfig {
    const members = this.#parts.names.map((name, i): MemberSpec => ({
      id: BigInt(i + 1) as NodeId,
      name,
      peerUrls: [`http://${name}:2380`],
      clientUrls: [`http://${name}:2379`],
    }));
    const rules = this.#parts.plant?.rules;
    return {
      ...SHAPE,
      self: this.id,
      clusterId: 0x5ea7n,
      members,
      dataDir: `/${this.name}`,
      ...(rules === undefined ? {} : { rules: { ...pureRules, ...rules } }),
    };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
