import type { Clock } from "../../seams/clock.ts";
import type { Disk } from "../../seams/disk.ts";
import type { Network, NodeId } from "../../seams/network.ts";
import type { Random } from "../../seams/random.ts";
import type { StateMachine } from "../apply/types.ts";
import type { Backend, BackendFactory } from "../mvcc/backend.ts";
import type { PureRules, RaftConfig, RaftCore } from "../raft/types.ts";

/** One member as the initial cluster names it. */
export interface MemberSpec {
  readonly id: NodeId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

export interface MemberConfig {
  readonly self: NodeId;
  readonly clusterId: bigint;
  /** Every member of the initial cluster, this one too. */
  readonly members: readonly MemberSpec[];
  readonly dataDir: string;
  /** Length of a tick. */
  readonly heartbeatMs: number;
  /** Election timeout, in ticks. */
  readonly electionTicks: number;
  /** Begin with most of the first election timeout behind: a fresh or restarted cluster need not sit it out. Pre-votes keep that harmless. */
  readonly electionTickAdvance: boolean;
  /** Applied entries between two snapshots. */
  readonly snapshotCount: number;
  /** Entries kept in memory behind a snapshot, for followers that are a little behind. */
  readonly catchUpEntries: number;
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  /** Interval of progress notifications to watchers that asked for them. */
  readonly progressNotifyMs: number;
  /** Under many linearizable reads, one question to the leader in so long serves them all. Absent: ask again at once. */
  readonly gatherReadsMs?: number;
  /** Planted bugs of the simulation only. */
  readonly rules?: PureRules;
  /** Segment sizes of the log; the simulation makes them small. */
  readonly wal?: { readonly segmentBytes?: number; readonly allocateStepBytes?: number };
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Everything outside of this process's memory that a member touches. */
export interface MemberSeams {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly network: Network;
  readonly random: Random;
  readonly backend: BackendFactory;
  readonly log: Log;
  /** Calls back when what has arrived by now has been handed over, so that one turn serves it all. Without it, at the end of the microtask. */
  readonly afterInput?: (act: () => void) => void;
  /** The core and the state machine may be wrapped (planted bugs); the product passes neither. */
  readonly makeRaft?: (config: RaftConfig) => RaftCore;
  readonly makeStateMachine?: (backend: Backend) => StateMachine;
}

/** What keeps a member from starting: said in one sentence. */
export class StartError extends Error {
  override readonly name = "StartError";
}
