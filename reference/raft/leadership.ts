import { assert } from "../../seams/assert.ts";
import type { RaftLog } from "./log.ts";
import { encodeConfChange, type Membership } from "./membership.ts";
import { Progress } from "./progress.ts";
import { quorumSize, reachedByQuorum } from "./quorum.ts";
import { decodeRound, encodeRound, ReadQueue, type ReadRequest } from "./read-index.ts";
import type { Outbox } from "./ready.ts";
import {
  NOBODY,
  type ConfChange,
  type Entry,
  type Index,
  type Message,
  type NodeId,
  type ProgressStatus,
  type PureRules,
  type Term,
} from "./types.ts";

const NO_ENTRIES: readonly Entry[] = [];
const EMPTY = new Uint8Array(0);

export interface LeadershipOptions {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly checkQuorum: boolean;
  readonly maxBytesPerAppend: number;
  readonly maxInflightAppends: number;
  readonly maxUncommittedBytes: number;
  readonly rules: PureRules;
}

/**
 * What one member knows and owes while it leads one term. It begins with the term's no-op and is thrown away
 * when the term or the role ends, so nothing of it can leak into another term.
 */
export class Leadership {
  readonly #id: NodeId;
  readonly #term: Term;
  readonly #log: RaftLog;
  readonly #membership: Membership;
  readonly #outbox: Outbox;
  readonly #options: LeadershipOptions;
  readonly #progress = new Map<NodeId, Progress>();
  readonly #reads: ReadQueue;

  /** The no-op's index: the first of this term. Once it is committed, the commit index is current (Raft 8). */
  readonly #firstOfTerm: Index;

  /** Last membership change that may be in the log; no other is proposed until it is applied. */
  #lastConfChange: Index;

  /** Bytes this term proposed and has not committed. */
  #uncommittedBytes = 0;

  #transferee: NodeId = NOBODY;
  #ticksOfTransfer = 0;
  #ticksSinceHeartbeat = 0;
  #ticksSinceQuorumCheck = 0;

  constructor(
    id: NodeId,
    term: Term,
    log: RaftLog,
    membership: Membership,
    outbox: Outbox,
    options: LeadershipOptions,
  ) {
    this.#id = id;
    this.#term = term;
    this.#log = log;
    this.#membership = membership;
    this.#outbox = outbox;
    this.#options = options;
    this.#reads = new ReadQueue(options.rules);
    for (const member of membership.everyone()) this.#follow(member);
    // Conservative: there may be a change anywhere in what the former leaders left.
    this.#lastConfChange = log.lastIndex;
    this.#firstOfTerm = (log.lastIndex + 1) as Index;
    this.#append("normal", EMPTY);
  }

  get transferee(): NodeId {
    return this.#transferee;
  }

  get #committedInTerm(): boolean {
    return this.#log.committed >= this.#firstOfTerm;
  }

  #follow(member: NodeId): void {
    if (member === this.#id) return;
    const progress = new Progress((this.#log.lastIndex + 1) as Index, this.#options.maxInflightAppends);
    // A member begins as heard of, so that its first election timeout is not held against it.
    progress.recentActive = true;
    this.#progress.set(member, progress);
  }

  propose(type: Entry["type"], data: Uint8Array): "accepted" | "dropped" {
    if (this.#transferee !== NOBODY || !this.#membership.isVoter(this.#id)) return "dropped";
    const exceeds = this.#uncommittedBytes + data.byteLength > this.#options.maxUncommittedBytes;
    if (exceeds && this.#uncommittedBytes > 0 && data.byteLength > 0) return "dropped";
    if (type === "confChange") {
      // One change at a time, and none before an entry of this term is committed (Ongaro's 2015 correction to thesis 4.1).
      if (!this.#committedInTerm || this.#lastConfChange > this.#log.applied) return "dropped";
      this.#lastConfChange = (this.#log.lastIndex + 1) as Index;
    }
    this.#append(type, data);
    return "accepted";
  }

  proposeConfChange(change: ConfChange, context: Uint8Array): "accepted" | "dropped" {
    return this.propose("confChange", encodeConfChange(change, context));
  }

  #append(type: Entry["type"], data: Uint8Array): void {
    this.#log.append({ term: this.#term, index: (this.#log.lastIndex + 1) as Index, type, data });
    this.#uncommittedBytes += data.byteLength;
  }

  /** Raft 5.3 and 5.4.2. The leader counts itself only as far as its own disk has got. */
  advanceCommit(): void {
    const index = reachedByQuorum(this.#membership.voters, (id) =>
      id === this.#id ? this.#log.unstable.durable : (this.#progress.get(id)?.match ?? 0),
    ) as Index;
    const before = this.#log.committed;
    if (index <= before) return;
    const entryTerm = this.#log.term(index);
    assert(entryTerm !== undefined, "what a majority holds is in the leader's log");
    if (!this.#options.rules.mayCommit(entryTerm, this.#term)) return;
    this.#log.commitTo(index);
    this.#uncommittedBytes -= this.#log.bytesOfTerm(this.#term, before, index);
    if (this.#committedInTerm) this.#reads.open(index);
  }

  onAppendResponse(m: Message): void {
    const progress = this.#progress.get(m.from);
    const index = m.index ?? (0 as Index);
    if (progress === undefined || index > this.#log.lastIndex) return;
    progress.recentActive = true;
    if (m.reject === true) {
      const hint = m.rejectHint ?? (0 as Index);
      // The follower skipped the terms above ours; we skip those above its own (Raft 5.3, fast backtracking from both ends).
      const agreed = m.logTerm === undefined ? hint : this.#log.lastOfTermAtMost(hint, m.logTerm);
      progress.refuse(index, agreed);
      return;
    }
    const isNews = progress.acknowledge(index);
    if (!isNews && !(progress.state === "probe" && progress.match === index)) return;
    if (progress.state === "probe") progress.becomeReplicate();
    else if (progress.state === "snapshot" && progress.match >= this.#log.snapshotIndex) progress.becomeReplicate();
    else progress.inflights.freeUpTo(index);
    this.advanceCommit();
    if (m.from === this.#transferee) this.#handOverIfCaughtUp();
  }

  onHeartbeatResponse(m: Message): void {
    const progress = this.#progress.get(m.from);
    if (progress === undefined) return;
    progress.heardOf(this.#log.lastIndex);
    const round = decodeRound(m.context);
    if (round > progress.answeredRound && round <= this.#reads.lastRound) {
      progress.answeredRound = round;
      this.#confirmReads();
    }
  }

  read(request: ReadRequest): void {
    this.#reads.add(request, this.#log.committed, this.#committedInTerm);
  }

  #confirmReads(): void {
    const round = reachedByQuorum(this.#membership.voters, (id) =>
      id === this.#id ? this.#reads.lastRound : (this.#progress.get(id)?.answeredRound ?? 0),
    );
    for (const answer of this.#reads.confirm(round)) {
      const { from, index, context } = answer;
      if (from === this.#id) this.#outbox.answerRead({ index, context });
      else this.#outbox.send({ type: "readIndexResponse", to: from, from: this.#id, term: this.#term, index, context });
    }
  }

  #heartbeat(round: number | undefined): void {
    this.#ticksSinceHeartbeat = 0;
    const context = round === undefined ? undefined : encodeRound(round);
    for (const [to, progress] of this.#progress) {
      // Never beyond `match`: past it the follower's log may differ from ours.
      const commit = Math.min(progress.match, this.#log.committed) as Index;
      this.#outbox.send({
        type: "heartbeat",
        to,
        from: this.#id,
        term: this.#term,
        commit,
        ...(context === undefined ? {} : { context }),
      });
    }
  }

  /** Returns whether this member may go on leading (check-quorum, Raft thesis 6.2). */
  tick(): boolean {
    this.#ticksSinceHeartbeat++;
    this.#ticksSinceQuorumCheck++;
    for (const progress of this.#progress.values()) progress.stirred = false;
    if (this.#transferee !== NOBODY && ++this.#ticksOfTransfer >= this.#options.electionTicks) {
      this.#transferee = NOBODY;
      this.#handOverIfRemoved();
    }
    if (this.#ticksSinceQuorumCheck >= this.#options.electionTicks) {
      this.#ticksSinceQuorumCheck = 0;
      if (this.#options.checkQuorum && !this.#heardFromQuorum()) return false;
    }
    if (this.#ticksSinceHeartbeat >= this.#options.heartbeatTicks) this.#heartbeat(this.#reads.roundToRepeat);
    return true;
  }

  #heardFromQuorum(): boolean {
    let heard = this.#membership.isVoter(this.#id) ? 1 : 0;
    for (const [id, progress] of this.#progress) {
      if (progress.recentActive && this.#membership.isVoter(id)) heard++;
      progress.recentActive = false;
    }
    return heard >= quorumSize(this.#membership.voters.size);
  }

  /** Puts everything worth sending into the outbox: one read round for all reads that wait, and appends as far as windows allow. */
  flush(): void {
    if (this.#reads.wantsRound) {
      this.#heartbeat(this.#reads.beginRound());
      this.#confirmReads();
    }
    // An only voter elects itself without anyone's answer: until its term is durable, a crash could make it
    // lead the same term again with other entries, so nobody may hear of these.
    if (this.#membership.isOnlyVoter(this.#id) && this.#log.unstable.durable < this.#firstOfTerm) return;
    for (const [to, progress] of this.#progress) {
      while (progress.appendDue(this.#log.lastIndex, this.#log.committed)) {
        if (!this.#sendAppend(to, progress)) break;
      }
    }
  }

  #sendAppend(to: NodeId, progress: Progress): boolean {
    const index = (progress.next - 1) as Index;
    const logTerm = this.#log.term(index);
    if (logTerm === undefined) {
      this.#sendSnapshot(to, progress);
      return false;
    }
    const entries = progress.inflights.full
      ? NO_ENTRIES
      : this.#log.slice(progress.next, this.#log.lastIndex, this.#options.maxBytesPerAppend);
    this.#outbox.send({
      type: "append",
      to,
      from: this.#id,
      term: this.#term,
      index,
      logTerm,
      entries,
      commit: this.#log.committed,
    });
    progress.sent((index + entries.length) as Index, entries.length, this.#log.committed);
    return true;
  }

  /** The edge streams its own state, which may be newer than this: the follower steps the metadata of what really came. */
  #sendSnapshot(to: NodeId, progress: Progress): void {
    if (!progress.recentActive) return;
    const index = this.#log.applied;
    const term = this.#log.term(index);
    assert(term !== undefined, "the applied entry is in the log or is the snapshot's last");
    const snapshot = { index, term, confState: this.#membership.state() };
    this.#outbox.send({ type: "snapshot", to, from: this.#id, term: this.#term, snapshot });
    progress.becomeSnapshot(index);
  }

  reportUnreachable(id: NodeId): void {
    const progress = this.#progress.get(id);
    if (progress?.state !== "replicate") return;
    progress.becomeProbe();
    // Wait for a heartbeat's answer: an edge that reports each failed send must not make us send at once again.
    progress.probeSent = true;
  }

  reportSnapshot(id: NodeId, ok: boolean): void {
    const progress = this.#progress.get(id);
    if (progress?.state !== "snapshot") return;
    if (!ok) progress.pendingSnapshot = 0 as Index;
    progress.becomeProbe();
    // After success the follower's own acknowledgement comes next; after failure the next heartbeat's answer tries again.
    progress.probeSent = true;
  }

  /** Raft thesis 3.10. Proposals are refused meanwhile, so that the transferee can catch up; given up after an election timeout. */
  transfer(to: NodeId): void {
    if (to === this.#id || to === this.#transferee || !this.#membership.isVoter(to)) return;
    this.#transferee = to;
    this.#ticksOfTransfer = 0;
    this.#handOverIfCaughtUp();
  }

  #handOverIfCaughtUp(): void {
    if (this.#progress.get(this.#transferee)?.match !== this.#log.lastIndex) return;
    this.#outbox.send({ type: "timeoutNow", to: this.#transferee, from: this.#id, term: this.#term });
  }

  /** The membership changed. A smaller quorum may already be reached. */
  reconfigured(): void {
    for (const member of this.#membership.everyone()) {
      if (!this.#progress.has(member)) this.#follow(member);
    }
    for (const member of this.#progress.keys()) {
      if (!this.#membership.has(member)) this.#progress.delete(member);
    }
    if (!this.#membership.isVoter(this.#transferee)) this.#transferee = NOBODY;
    this.advanceCommit();
    this.#confirmReads();
    this.#handOverIfRemoved();
  }

  /**
   * A leader that is no voter any more counts for nothing but leads on until a voter has taken over (Raft thesis 4.2.2): it may be
   * the only one to know that its removal is committed, and the others could not elect anyone without its vote.
   */
  #handOverIfRemoved(): void {
    if (this.#membership.isVoter(this.#id)) return;
    let best = NOBODY;
    for (const id of this.#membership.voters) {
      if (best === NOBODY || (this.#progress.get(id)?.match ?? 0) > (this.#progress.get(best)?.match ?? 0)) best = id;
    }
    this.transfer(best);
  }

  progress(): ReadonlyMap<NodeId, ProgressStatus> {
    const view = new Map<NodeId, ProgressStatus>();
    for (const [id, progress] of this.#progress) view.set(id, progress.status());
    return view;
  }
}
