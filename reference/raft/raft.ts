import { Election, isTransfer, transferContext } from "./election.ts";
import { Leadership } from "./leadership.ts";
import { RaftLog } from "./log.ts";
import { encodeConfChange, Membership } from "./membership.ts";
import { inGroups, Outbox } from "./ready.ts";
import { pureRules } from "./rules.ts";
import {
  NOBODY,
  type ConfChange,
  type ConfState,
  type Entry,
  type HardState,
  type Index,
  type Message,
  type MessageType,
  type NodeId,
  type PureRules,
  type RaftConfig,
  type RaftCore,
  type RaftStatus,
  type Ready,
  type Role,
  type SoftState,
  type Term,
} from "./types.ts";

/**
 * One member's consensus, as a function of what it is told: no clock, no disk, no network, nothing asynchronous.
 * `config` is what was durable when the member last stopped; see `RaftConfig`. Throws InvariantViolation when that contradicts itself.
 */
export function createRaft(config: RaftConfig): RaftCore {
  return new Raft(config);
}

class Raft implements RaftCore {
  readonly #config: RaftConfig;
  readonly #rules: PureRules;
  readonly #id: NodeId;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  #membership: Membership;

  /** Raft figure 2's persistent state, with the log's commit index. A term never falls; a vote changes only with the term. */
  #term: Term;
  #vote: NodeId;

  /** Whom this member believes to lead `#term`; NOBODY while it does not know or campaigns. */
  #leader: NodeId = NOBODY;
  #role: Role = "follower";

  /** Set exactly while the role is leader. */
  #leadership: Leadership | undefined;
  /** Set exactly while the role is candidate or preCandidate. */
  #election: Election | undefined;

  /** Ticks since a leader was heard of, a vote was given, or a campaign began. */
  #ticksOfSilence = 0;
  /** In [electionTicks, 2 * electionTicks): drawn anew with each role, so that split votes do not repeat (Raft 5.2). */
  #patienceTicks = 0;

  /** Proposals for the leader, gathered until the next Ready. Indexes and terms in them mean nothing. */
  #forwards: Entry[] = [];

  constructor(config: RaftConfig) {
    this.#config = config;
    this.#rules = config.rules ?? pureRules;
    this.#id = config.id;
    this.#term = config.hardState.term;
    this.#vote = config.hardState.vote;
    this.#membership = new Membership(config.confState);
    this.#log = new RaftLog({
      snapshot: config.snapshot,
      entries: config.entries,
      commit: config.hardState.commit,
      applied: config.applied,
    });
    this.#outbox = new Outbox(this.#soft(), config.hardState);
    this.#drawPatience();
  }

  // --- time ---

  tick(): void {
    if (this.#leadership !== undefined) {
      if (!this.#leadership.tick()) this.#becomeFollower(this.#term, NOBODY);
      return;
    }
    this.#ticksOfSilence++;
    if (this.#ticksOfSilence >= this.#patienceTicks) this.campaign();
  }

  #drawPatience(): void {
    this.#patienceTicks = this.#config.electionTicks + this.#config.random.below(this.#config.electionTicks);
  }

  // --- roles ---

  #becomeFollower(term: Term, leader: NodeId): void {
    if (term !== this.#term) {
      this.#term = term;
      this.#vote = NOBODY;
    }
    this.#enter("follower", leader);
  }

  #enter(role: Role, leader: NodeId): void {
    this.#role = role;
    this.#leader = leader;
    this.#leadership = undefined;
    this.#election = undefined;
    this.#ticksOfSilence = 0;
    this.#drawPatience();
  }

  campaign(): void {
    this.#campaign(this.#config.preVote ? "preVote" : "vote", false);
  }

  /** A member with a change that is committed but not applied here would count with a membership that is gone. */
  get #mayCampaign(): boolean {
    return (
      this.#role !== "leader" &&
      this.#membership.isVoter(this.#id) &&
      this.#log.unstable.snapshot === undefined &&
      !this.#log.hasUnappliedConfChange()
    );
  }

  #campaign(kind: "preVote" | "vote", isTransferred: boolean): void {
    if (!this.#mayCampaign) return;
    const term = (this.#term + 1) as Term;
    if (kind === "vote") {
      this.#term = term;
      this.#vote = this.#id;
    }
    this.#enter(kind === "vote" ? "candidate" : "preCandidate", NOBODY);
    this.#election = new Election(kind, term, this.#id);
    for (const to of this.#membership.voters) {
      if (to === this.#id) continue;
      const request: Message = {
        type: kind,
        to,
        from: this.#id,
        term,
        index: this.#log.lastIndex,
        logTerm: this.#log.lastTerm,
        ...(isTransferred ? { context: transferContext } : {}),
      };
      // A candidacy is a vote for oneself: it may be heard of once that vote cannot be forgotten. A pre-vote promises nothing.
      if (kind === "vote") this.#outbox.sendAfterPersist(request);
      else this.#outbox.send(request);
    }
    this.#settleElection();
  }

  #settleElection(): void {
    const election = this.#election;
    if (election === undefined) return;
    const result = election.result(this.#membership.voters);
    if (result === "lost") this.#becomeFollower(this.#term, NOBODY);
    if (result !== "won") return;
    if (election.kind === "preVote") this.#campaign("vote", false);
    else this.#becomeLeader();
  }

  #becomeLeader(): void {
    this.#enter("leader", this.#id);
    this.#leadership = new Leadership(this.#id, this.#term, this.#log, this.#membership, this.#outbox, {
      ...this.#config,
      rules: this.#rules,
    });
  }

  // --- messages ---

  step(m: Message): void {
    if (m.type === "propose" || m.type === "readIndex") {
      this.#onForwarded(m);
      return;
    }
    if (m.term < this.#term) {
      this.#onOlderTerm(m);
      return;
    }
    if (m.term > this.#term && !this.#enterTermOf(m)) return;
    switch (m.type) {
      case "vote":
      case "preVote":
        this.#onVoteRequest(m, m.type);
        break;
      case "voteResponse":
      case "preVoteResponse":
        this.#onVoteResponse(m);
        break;
      case "append":
      case "heartbeat":
      case "snapshot":
        this.#onLeaderMessage(m);
        break;
      case "appendResponse":
        this.#leadership?.onAppendResponse(m);
        break;
      case "heartbeatResponse":
        this.#leadership?.onHeartbeatResponse(m);
        break;
      case "readIndexResponse":
        if (m.index !== undefined && m.context !== undefined)
          this.#outbox.answerRead({ index: m.index, context: m.context });
        break;
      case "transferLeader":
        if (m.context !== undefined) this.transferLeader(decodeMember(m.context));
        break;
      case "timeoutNow":
        // Raft thesis 3.10: no pre-vote and no lease stand in the way of a transfer.
        this.#campaign("vote", true);
        break;
    }
  }

  /** Sees a later term than ours. Returns whether the message is to be heard. */
  #enterTermOf(m: Message): boolean {
    if (m.type === "vote" || m.type === "preVote") {
      // Raft thesis 4.2.3: while a leader is heard of, a candidate disturbs nobody, unless that leader sent it.
      if (this.#hasLease() && !isTransfer(m.context)) return false;
    }
    if (m.type === "preVote") return true;
    // A granted pre-vote names the term that the candidate would enter, and nobody is in it yet.
    if (m.type === "preVoteResponse" && m.reject !== true) return true;
    const isFromLeader = m.type === "append" || m.type === "heartbeat" || m.type === "snapshot";
    this.#becomeFollower(m.term, isFromLeader ? m.from : NOBODY);
    return true;
  }

  #hasLease(): boolean {
    if (!this.#config.checkQuorum || this.#leader === NOBODY) return false;
    return this.#role === "leader" || this.#ticksOfSilence < this.#config.electionTicks;
  }

  #onOlderTerm(m: Message): void {
    switch (m.type) {
      case "append":
      case "heartbeat":
      case "snapshot":
        // With pre-vote or leases a member in a later term cannot get through to an old leader by campaigning:
        // the answer's term makes it step down. It acknowledges nothing.
        if (this.#config.checkQuorum || this.#config.preVote)
          this.#promise("appendResponse", m.from, { index: 0 as Index });
        break;
      case "preVote":
        this.#promise("preVoteResponse", m.from, { reject: true });
        break;
      case "voteResponse":
        this.#onVoteResponse(m);
        break;
      default:
        break;
    }
  }

  #promise(type: MessageType, to: NodeId, fields: Partial<Message>): void {
    this.#outbox.sendAfterPersist({ type, to, from: this.#id, term: this.#term, ...fields });
  }

  #onVoteRequest(m: Message, kind: "vote" | "preVote"): void {
    const isFree =
      this.#vote === m.from ||
      (this.#vote === NOBODY && this.#leader === NOBODY) ||
      (kind === "preVote" && m.term > this.#term);
    // Raft 5.4.1. A learner answers too: it may be a voter already without knowing.
    const grants = isFree && this.#log.isUpToDate(m.index ?? (0 as Index), m.logTerm ?? (0 as Term));
    if (kind === "preVote") {
      if (grants) this.#promise("preVoteResponse", m.from, { term: m.term });
      else this.#promise("preVoteResponse", m.from, { reject: true });
      return;
    }
    if (grants) {
      this.#vote = m.from;
      this.#ticksOfSilence = 0;
    }
    this.#promise("voteResponse", m.from, grants ? {} : { reject: true });
  }

  #onVoteResponse(m: Message): void {
    const election = this.#election;
    if (election === undefined || m.type !== election.responseType) return;
    if (m.reject === true) {
      // A refusal comes with the term of the one who refused, not with the one asked for.
      if (m.term !== this.#term) return;
    } else if (!this.#rules.countsVote(m.term, election.term)) {
      return;
    }
    election.record(m.from, m.reject !== true);
    this.#settleElection();
  }

  #onLeaderMessage(m: Message): void {
    if (this.#role === "leader") return;
    if (this.#role !== "follower" || this.#leader !== m.from) this.#becomeFollower(m.term, m.from);
    this.#ticksOfSilence = 0;
    if (m.type === "append") this.#onAppend(m);
    else if (m.type === "snapshot") this.#onSnapshot(m);
    else this.#onHeartbeat(m);
  }

  #onHeartbeat(m: Message): void {
    this.#log.commitTo(m.commit ?? (0 as Index));
    // Sent at once: it says who leads now, and no promise rests on it.
    this.#outbox.send({
      type: "heartbeatResponse",
      to: m.from,
      from: this.#id,
      term: this.#term,
      ...(m.context === undefined ? {} : { context: m.context }),
    });
  }

  /** Raft figure 2, AppendEntries. */
  #onAppend(m: Message): void {
    const index = m.index ?? (0 as Index);
    const logTerm = m.logTerm ?? (0 as Term);
    if (index < this.#log.committed) {
      this.#promise("appendResponse", m.from, { index: this.#log.committed });
      return;
    }
    if (!this.#log.matches(index, logTerm)) {
      const hint = this.#log.lastOfTermAtMost(index, logTerm);
      this.#promise("appendResponse", m.from, {
        index,
        reject: true,
        rejectHint: hint,
        logTerm: this.#log.term(hint) ?? (0 as Term),
      });
      return;
    }
    const last = this.#log.appendAfter(index, m.entries ?? []);
    this.#log.commitTo(Math.min(m.commit ?? 0, last) as Index);
    this.#promise("appendResponse", m.from, { index: last });
  }

  /** The edge already holds the data. If the log needs it, Ready.snapshot says so; otherwise the edge drops it. */
  #onSnapshot(m: Message): void {
    const { snapshot } = m;
    if (snapshot === undefined) return;
    const isMember = snapshot.confState.voters.includes(this.#id) || snapshot.confState.learners.includes(this.#id);
    if (snapshot.index > this.#log.committed && isMember) {
      if (this.#log.matches(snapshot.index, snapshot.term)) {
        this.#log.commitTo(snapshot.index);
      } else {
        this.#log.restore(snapshot);
      }
    }
    this.#promise("appendResponse", m.from, { index: this.#log.committed });
  }

  // --- requests of the edge, and those that followers forward ---

  propose(data: Uint8Array): "accepted" | "dropped" {
    return this.#propose("normal", data);
  }

  proposeConfChange(change: ConfChange, context: Uint8Array): "accepted" | "dropped" {
    return this.#propose("confChange", encodeConfChange(change, context));
  }

  #propose(type: Entry["type"], data: Uint8Array): "accepted" | "dropped" {
    if (this.#leadership !== undefined) return this.#leadership.propose(type, data);
    if (this.#leader === NOBODY) return "dropped";
    this.#forwards.push({ type, data, index: 0 as Index, term: 0 as Term });
    return "accepted";
  }

  /** Forwarded requests carry no term: whoever leads when they arrive may take them. */
  #onForwarded(m: Message): void {
    if (m.type === "readIndex") {
      // Not passed on: the answer would have to find its way back. The edge asks again.
      if (m.context !== undefined) this.#leadership?.read({ from: m.from, context: m.context });
      return;
    }
    // Two members that each believe the other leads must not play ping-pong.
    if (this.#leadership === undefined && this.#leader === m.from) return;
    for (const entry of m.entries ?? []) this.#propose(entry.type, entry.data);
  }

  #flushForwards(): void {
    if (this.#forwards.length === 0) return;
    const entries = this.#forwards;
    this.#forwards = [];
    if (this.#leadership !== undefined) {
      for (const entry of entries) this.#leadership.propose(entry.type, entry.data);
    } else if (this.#leader !== NOBODY) {
      for (const group of inGroups(entries, this.#config.maxBytesPerAppend)) {
        this.#outbox.send({ type: "propose", to: this.#leader, from: this.#id, term: 0 as Term, entries: group });
      }
    }
  }

  readIndex(context: Uint8Array): void {
    if (this.#leadership !== undefined) this.#leadership.read({ from: this.#id, context });
    else if (this.#leader !== NOBODY)
      this.#outbox.send({ type: "readIndex", to: this.#leader, from: this.#id, term: 0 as Term, context });
  }

  transferLeader(to: NodeId): void {
    if (this.#leadership !== undefined) this.#leadership.transfer(to);
    else if (this.#leader !== NOBODY) {
      this.#outbox.send({
        type: "transferLeader",
        to: this.#leader,
        from: this.#id,
        term: this.#term,
        context: encodeMember(to),
      });
    }
  }

  applyConfChange(change: ConfChange | undefined): ConfState {
    if (change !== undefined) {
      this.#membership.apply(change);
      this.#leadership?.reconfigured();
    }
    return this.#membership.state();
  }

  compact(to: Index): void {
    this.#log.compact(to);
  }

  reportUnreachable(id: NodeId): void {
    this.#leadership?.reportUnreachable(id);
  }

  reportSnapshot(id: NodeId, ok: boolean): void {
    this.#leadership?.reportSnapshot(id, ok);
  }

  // --- the Ready loop ---

  ready(): Ready | undefined {
    this.#flushForwards();
    this.#leadership?.flush();
    return this.#outbox.take(this.#log, this.#soft(), this.#hard());
  }

  persisted(index: Index, term: Term): void {
    if (this.#log.unstable.acknowledge(index, term)) this.#leadership?.advanceCommit();
  }

  snapshotInstalled(index: Index): void {
    const snapshot = this.#log.snapshotInstalled(index);
    if (snapshot !== undefined) this.#membership = new Membership(snapshot.confState);
  }

  applied(index: Index): void {
    this.#log.appliedTo(index);
  }

  #soft(): SoftState {
    return { leader: this.#leader, role: this.#role };
  }

  #hard(): HardState {
    return { term: this.#term, vote: this.#vote, commit: this.#log.committed };
  }

  status(): RaftStatus {
    return {
      id: this.#id,
      term: this.#term,
      vote: this.#vote,
      leader: this.#leader,
      role: this.#role,
      commit: this.#log.committed,
      applied: this.#log.applied,
      firstIndex: this.#log.firstIndex,
      lastIndex: this.#log.lastIndex,
      confState: this.#membership.state(),
      progress: this.#leadership?.progress() ?? new Map(),
    };
  }
}

function encodeMember(id: NodeId): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, id);
  return bytes;
}

function decodeMember(bytes: Uint8Array): NodeId {
  if (bytes.byteLength !== 8) return NOBODY;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) as NodeId;
}
