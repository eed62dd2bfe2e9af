import type { NodeId } from "../../seams/network.ts";

/** Raft's logical clock: elections are numbered by it (Raft 5.1). 0 before the first election. */
export type Term = number & { readonly __brand: "Term" };
/** Position in the log, from 1; 0 is "before the first entry". */
export type Index = number & { readonly __brand: "Index" };

export type { NodeId };
export const NOBODY = 0n as NodeId;

export interface Entry {
  readonly term: Term;
  readonly index: Index;
  readonly type: "normal" | "confChange";
  /** Opaque to raft; empty for the no-op that a new leader appends. A confChange's: see `decodeConfChange` in membership.ts. */
  readonly data: Uint8Array;
}

/** Must survive a crash before anything that depends on it is told to others (Raft figure 2, persistent state). */
export interface HardState {
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: Index;
}

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export interface SoftState {
  readonly leader: NodeId;
  readonly role: Role;
}

/** The membership that an index has made effective. One change at a time (Raft thesis 4.1). */
export interface ConfState {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

export interface ConfChange {
  readonly type: "addVoter" | "addLearner" | "remove";
  readonly node: NodeId;
}

export interface SnapshotMetadata {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

export type MessageType =
  | "append"
  | "appendResponse"
  | "vote"
  | "voteResponse"
  | "preVote"
  | "preVoteResponse"
  | "heartbeat"
  | "heartbeatResponse"
  | "snapshot"
  | "propose"
  | "readIndex"
  | "readIndexResponse"
  | "transferLeader"
  | "timeoutNow";

/** One message between members; absent fields have no meaning for the type. Encoded as raftpb.Message by `reference/transport`. */
export interface Message {
  readonly type: MessageType;
  readonly to: NodeId;
  readonly from: NodeId;
  readonly term: Term;
  /** append: term of the entry before `entries`; votes: term of the candidate's last entry; rejected appendResponse: the follower's hint. */
  readonly logTerm?: Term;
  /** append: index of the entry before `entries`; appendResponse: last index that matches (or that was refused). */
  readonly index?: Index;
  readonly entries?: readonly Entry[];
  readonly commit?: Index;
  readonly reject?: boolean;
  readonly rejectHint?: Index;
  readonly snapshot?: SnapshotMetadata;
  /** readIndex: the request's context; heartbeat: the read round it confirms; vote: "transfer" forces past a lease; transferLeader: the member's 8-byte id. */
  readonly context?: Uint8Array;
}

/** A linearizable read may be served once `index` is applied. */
export interface ReadState {
  readonly index: Index;
  readonly context: Uint8Array;
}

/**
 * What the edge must do for the core, as data. The order is the safety argument (persist before you promise):
 * 1. send `messages` at any time;
 * 2. make `snapshot`, then `entries` and `hardState` durable;
 * 3. only then call `persisted(lastIndex, lastTerm)` and send `afterPersist`;
 * 4. apply `committed` in order (may go on in parallel), then call `applied(index)`.
 * A later Ready may be taken before an earlier one is durable; they become durable in order.
 */
export interface Ready {
  readonly softState?: SoftState;
  readonly hardState?: HardState;
  readonly entries: readonly Entry[];
  /**
   * A snapshot whose data the edge already holds (it came with the message): install it, then call `snapshotInstalled`.
   * Committed entries at or before it that are not applied yet are then no longer to be applied.
   * A stepped snapshot that no Ready names was not needed: drop its data.
   */
  readonly snapshot?: SnapshotMetadata;
  readonly messages: readonly Message[];
  readonly afterPersist: readonly Message[];
  readonly committed: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** False when only the commit index moved: then no sync is needed before `afterPersist`. */
  readonly mustSync: boolean;
}

export interface ProgressStatus {
  readonly match: Index;
  readonly next: Index;
  readonly state: "probe" | "replicate" | "snapshot";
  readonly recentActive: boolean;
}

export interface RaftStatus {
  readonly id: NodeId;
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: Index;
  readonly applied: Index;
  readonly lastIndex: Index;
  readonly firstIndex: Index;
  readonly leader: NodeId;
  readonly role: Role;
  readonly confState: ConfState;
  /** Leader only. */
  readonly progress: ReadonlyMap<NodeId, ProgressStatus>;
}

export interface RaftCore {
  tick(): void;
  step(m: Message): void;
  /** "dropped": no leader is known, a transfer is under way, or too much is uncommitted. A follower forwards to its leader. */
  propose(data: Uint8Array): "accepted" | "dropped";
  proposeConfChange(change: ConfChange, context: Uint8Array): "accepted" | "dropped";
  /** Asks for a ReadState with this context; any member may ask (a follower forwards). May be lost: the edge retries with a new context. */
  readIndex(context: Uint8Array): void;
  /**
   * The edge applied a committed confChange entry: it takes effect now. `undefined` = the change was refused, nothing happens.
   * A leader that is removed hands over to a voter first; the edge should let it run until it no longer leads.
   */
  applyConfChange(change: ConfChange | undefined): ConfState;
  transferLeader(to: NodeId): void;
  campaign(): void;
  /** Forgets entries up to and including `to` (they are in a snapshot). `to` must be applied. */
  compact(to: Index): void;
  reportUnreachable(id: NodeId): void;
  /** Must follow every "snapshot" message, also one that could not be sent: until then nothing else goes to that member. */
  reportSnapshot(id: NodeId, ok: boolean): void;
  status(): RaftStatus;
  ready(): Ready | undefined;
  /**
   * The entries of a Ready whose last was (index, term) are durable, and so is every earlier Ready. Several Readys written together
   * may be acknowledged once, by the last. Ignored if no such write is under way or the entry has been replaced since.
   */
  persisted(index: Index, term: Term): void;
  /** The snapshot at `index` was installed durably. */
  snapshotInstalled(index: Index): void;
  applied(index: Index): void;
}

/** The core's few rules that a planted bug may replace (`simulation/plants/`). The product always uses `pureRules`. */
export interface PureRules {
  /** Raft 5.4.2: an entry commits by counting only if it is of the current term. */
  mayCommit(entryTerm: Term, currentTerm: Term): boolean;
  /** A vote answer counts only in the term it was given in. */
  countsVote(answerTerm: Term, currentTerm: Term): boolean;
  /** A read is confirmed only by a round that began after the read arrived. */
  confirmsRead(roundStartedAfterRead: boolean): boolean;
}

export interface RaftConfig {
  readonly id: NodeId;
  /** Membership in effect at `applied` (the initial one when nothing is applied): applied confChange entries are not handed out again. */
  readonly confState: ConfState;
  readonly hardState: HardState;
  /** Log position the entries start after. Zeroes when there is none. */
  readonly snapshot: { readonly index: Index; readonly term: Term };
  /** Durable entries after `snapshot.index`. */
  readonly entries: readonly Entry[];
  /** Already applied by the state machine: `committed` never repeats them. */
  readonly applied: Index;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Randomises election timeouts. */
  readonly random: { below(bound: number): number };
  readonly maxBytesPerAppend: number;
  readonly maxInflightAppends: number;
  readonly maxUncommittedBytes: number;
  readonly rules?: PureRules;
}
