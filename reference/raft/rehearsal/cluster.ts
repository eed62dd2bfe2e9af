import { createRaft } from "../raft.ts";
import type { ConfState, Entry, Message, NodeId, PureRules, RaftConfig, RaftCore, ReadState } from "../types.ts";
import { Member } from "./member.ts";
import { SafetyMonitor } from "./safety.ts";

export interface ClusterOptions {
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** Running, but in nobody's membership yet. */
  readonly spares: readonly number[];
  readonly tuning: Omit<
    RaftConfig,
    "id" | "confState" | "hardState" | "snapshot" | "entries" | "applied" | "random" | "rules"
  >;
  readonly rules: PureRules;
  random(member: NodeId): { below(bound: number): number };
  /** A planted bug around the core. */
  decorate?(core: RaftCore): RaftCore;
}

export const usualTuning: ClusterOptions["tuning"] = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  maxBytesPerAppend: 1024,
  maxInflightAppends: 8,
  maxUncommittedBytes: 64 * 1024,
};

/** Several members in one process and the messages between them, each moved by hand. */
export class Cluster {
  readonly monitor = new SafetyMonitor();
  readonly members = new Map<NodeId, Member>();
  /** In the order in which they were sent. */
  inFlight: Message[] = [];
  /** "from->to" pairs that lose every message. */
  readonly cuts = new Set<string>();
  /** Told of what is applied and read. */
  onApplied: (member: Member, entry: Entry) => void = () => {};
  onRead: (member: Member, state: ReadState) => void = () => {};

  constructor(options: ClusterOptions) {
    const { voters, learners, spares, tuning, rules } = options;
    const confState: ConfState = { voters: voters.map(nodeId), learners: learners.map(nodeId) };
    for (const id of [...voters, ...learners, ...spares].map(nodeId)) {
      const random = options.random(id);
      this.members.set(
        id,
        new Member(id, confState, {
          monitor: this.monitor,
          start: (config) => {
            const core = createRaft({ ...config, ...tuning, random, rules });
            return options.decorate?.(core) ?? core;
          },
          send: (message) => this.#send(message),
          applied: (member, entry) => this.onApplied(member, entry),
          read: (member, state) => this.onRead(member, state),
        }),
      );
    }
  }

  member(id: NodeId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`there is no member ${id}`);
    return member;
  }

  #send(message: Message): void {
    if (this.cuts.has(link(message))) this.#lost(message);
    else this.inFlight.push(message);
  }

  #lost(message: Message): void {
    if (message.type === "snapshot") this.#lostSnapshots.push(message);
  }

  /** Reported to their senders between two deliveries: a send never fails inside the call that made it. */
  #lostSnapshots: Message[] = [];

  reportLostSnapshots(): void {
    const lost = this.#lostSnapshots;
    this.#lostSnapshots = [];
    for (const { from, to } of lost) this.member(from).act((core) => core.reportSnapshot(to, false));
  }

  /** Delivers the message at `position`; a crashed member hears nothing. */
  deliver(position: number): Message | undefined {
    const [message] = this.inFlight.splice(position, 1);
    if (message === undefined) return undefined;
    const target = this.member(message.to);
    if (target.core === undefined) this.#lost(message);
    else {
      target.receive(message);
      if (message.type === "snapshot") this.member(message.from).act((core) => core.reportSnapshot(message.to, true));
    }
    return message;
  }

  drop(position: number): Message | undefined {
    const [message] = this.inFlight.splice(position, 1);
    if (message !== undefined) this.#lost(message);
    return message;
  }

  duplicate(position: number): void {
    const message = this.inFlight[position];
    if (message !== undefined) this.inFlight.push(message);
  }

  /** Also loses what is on its way over the cut links. */
  cut(pairs: readonly string[]): void {
    for (const pair of pairs) this.cuts.add(pair);
    for (let i = this.inFlight.length - 1; i >= 0; i--) {
      const message = this.inFlight[i];
      if (message !== undefined && this.cuts.has(link(message))) this.drop(i);
    }
  }
}

export function nodeId(id: number): NodeId {
  return BigInt(id) as NodeId;
}

export function link(message: Message): string {
  return `${message.from}->${message.to}`;
}
