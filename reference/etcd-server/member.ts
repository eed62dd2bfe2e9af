import { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type { ResponseHeader } from "../../api/etcd/gen/rpc.ts";
import { assert } from "../../seams/assert.ts";
import type { Instant } from "../../seams/clock.ts";
import type { NetworkHandler } from "../../seams/network.ts";
import type { ApplyEntry, ApplyResult, StateMachine } from "../apply/types.ts";
import type { RevisionEvents } from "../mvcc/types.ts";
import { decodeConfChange } from "../raft/membership.ts";
import { createRaft } from "../raft/raft.ts";
import {
  NOBODY,
  type Entry,
  type Index,
  type Message,
  type NodeId,
  type RaftCore,
  type RaftStatus,
  type Ready,
  type Role,
  type SnapshotMetadata,
  type Term,
} from "../raft/types.ts";
import { decodeRaftMessage, encodeRaftMessage } from "../transport/raft-codec.ts";
import { openStorage, type Storage } from "./boot.ts";
import type { MemberConfig, MemberSeams } from "./config.ts";
import { refusal, RpcError } from "./errors.ts";
import { Leases } from "./lease-desk.ts";
import { Members } from "./members.ts";
import { PersistQueue } from "./persist-queue.ts";
import { Proposals } from "./proposals.ts";
import { Reads } from "./reads.ts";
import { receiveSnapshot, Snapshots } from "./snapshots.ts";
import { Wake } from "./wake.ts";
import { WatchHub } from "./watch.ts";

/** Entries applied in one turn: a long replay must not keep a heartbeat waiting. */
const APPLY_BATCH = 512;
/** etcd's maxGapBetweenApplyAndCommitIndex. */
const MAX_APPLY_GAP = 5000;
/** While the disk is busy, new requests gather for at most so long. */
const GATHER_MS = 2;
const MAX_BYTES_PER_APPEND = 1024 * 1024;

/**
 * One member, without sockets: it runs raft's Ready loop over the seams. What raft decides is persisted, then told to others, then applied;
 * the services read and write through `propose`, `linearizable` and `machine`. Everything happens in turns of one loop (`#turn`),
 * so there is no state that two of them share halfway.
 */
export class Member {
  readonly config: MemberConfig;
  readonly seams: MemberSeams;
  readonly hub: WatchHub;
  readonly leases: Leases;
  readonly members: Members;
  /** Resolves when the member has stopped; with the cause if it stopped by itself. */
  readonly ended: Promise<{ readonly cause?: unknown }>;
  readonly #proposals: Proposals;
  readonly #reads: Reads;
  readonly #persisting: PersistQueue;
  readonly #snapshots: Snapshots;
  readonly #raft: RaftCore;
  readonly #storage: Storage;
  readonly #stopping = new AbortController();
  readonly #leaderMoved = new Wake();
  readonly #reportEnd: (end: { cause?: unknown }) => void;
  #machine: StateMachine | undefined;
  #receiving: Disposable | undefined;
  #committed: Entry[] = [];
  /** Their promises are durable: they go out in the next turn, by one write with what that turn sends. */
  readonly #unsent: Message[] = [];
  #scheduled = false;
  #gathering = false;
  #gatheringReads = false;
  #cleaning = false;
  #leaderChanges = 0;
  #stopped = false;
  #role: Role = "follower";
  #leader: NodeId = NOBODY;
  #leaderSince: Instant | undefined;
  #leaderLostAt: Instant | undefined;
  #term: Term;
  #commit: Index;

  /** Opens the data directory and starts. Rejects with StartError or the log's own refusal, in a sentence. */
  static async start(config: MemberConfig, seams: MemberSeams): Promise<Member> {
    const storage = await openStorage(config, seams);
    return new Member(config, seams, storage);
  }

  private constructor(config: MemberConfig, seams: MemberSeams, storage: Storage) {
    this.config = config;
    this.seams = seams;
    this.#storage = storage;
    this.#machine = storage.machine;
    const { promise, resolve } = Promise.withResolvers<{ cause?: unknown }>();
    this.ended = promise;
    this.#reportEnd = resolve;
    const { clock, random } = seams;
    const electionMs = config.heartbeatMs * config.electionTicks;
    const timeoutMs = 5000 + 2 * electionMs;
    this.#proposals = new Proposals({
      clock,
      random: random.fork("requests"),
      memberId: config.self,
      timeoutMs,
      maxRequestBytes: config.maxRequestBytes,
    });
    this.#reads = new Reads({
      clock,
      random: random.fork("reads"),
      timeoutMs,
      gatherMs: config.gatherReadsMs ?? 0,
      ask: (context) => {
        this.#raft.readIndex(context);
        this.#schedule();
      },
    });
    this.hub = new WatchHub(() => this.machine.mvcc);
    this.members = new Members(config, () => this.#machine?.memberAttributes);
    this.leases = new Leases(this, electionMs);
    this.#persisting = new PersistQueue({
      wal: storage.wal,
      done: (step) => this.#persisted(step),
      failed: (cause) => this.#fail("the log could not be written", cause),
    });
    const { raft: start } = storage;
    this.#term = start.hardState.term;
    this.#commit = start.hardState.commit;
    this.#raft = (seams.makeRaft ?? createRaft)({
      ...start,
      random: random.fork("elections"),
      maxBytesPerAppend: MAX_BYTES_PER_APPEND,
      maxInflightAppends: 256,
      maxUncommittedBytes: 64 * 1024 * 1024,
      ...(config.rules && { rules: config.rules }),
    });
    this.#snapshots = new Snapshots({
      config,
      seams,
      storage,
      raft: this.#raft,
      machine: () => this.machine,
      fail: (what, cause) => this.#fail(what, cause),
      signal: this.#stopping.signal,
      wake: () => this.#schedule(),
    });
    this.#receiving = seams.network.receive(this.#handler());
    // Nobody to wait for: a member that is alone need not sit out an election timeout.
    if (start.confState.voters.length === 1) this.#raft.campaign();
    else if (config.electionTickAdvance) for (let i = 1; i < config.electionTicks; i++) this.#raft.tick();
    void this.#tickLoop();
    void this.#progressLoop();
    this.#schedule();
  }

  /** The applied state; throws an RpcError while a received snapshot replaces it. */
  get machine(): StateMachine {
    if (this.#machine === undefined) throw refusal(this.#stopped ? "stopped" : "installing");
    return this.#machine;
  }

  get id(): NodeId {
    return this.config.self;
  }

  get leader(): NodeId {
    return this.#leader;
  }

  get isLeader(): boolean {
    return this.#role === "leader";
  }

  /** By the core's own word: it may have heard of another leader since this member last acted on what it said. */
  get leadsNow(): boolean {
    const { role, term } = this.#raft.status();
    return role === "leader" && term === this.#term;
  }

  get term(): Term {
    return this.#term;
  }

  /** A received snapshot is replacing the state: nothing can be read. */
  get installing(): boolean {
    return this.#machine === undefined;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  status(): RaftStatus {
    return this.#raft.status();
  }

  sizeBytes(): { readonly allocated: number; readonly inUse: number } {
    return this.#storage.backend.sizeBytes();
  }

  get leaderChanges(): number {
    return this.#leaderChanges;
  }

  get pendingProposals(): number {
    return this.#proposals.waiting;
  }

  header(revision: number = this.machine.mvcc.currentRevision): ResponseHeader {
    return {
      clusterId: this.config.clusterId,
      memberId: this.config.self,
      revision: BigInt(revision),
      raftTerm: BigInt(this.#term),
    };
  }

  /** A fresh id for a lease whose client leaves the choice to the server: positive as an int64. */
  freshLeaseId(): bigint {
    return this.#proposals.nextId() & 0x7fff_ffff_ffff_ffffn;
  }

  /** Takes a write through the log. Resolves once it is applied here; rejects with the RpcError that etcd would answer. */
  async propose(request: Partial<InternalRaftRequest>, wanted?: () => boolean): Promise<ApplyResult> {
    if (this.#stopped) throw refusal("stopped");
    if (this.#commit > (this.#machine?.appliedIndex ?? 0) + MAX_APPLY_GAP) throw refusal("tooManyRequests");
    const result = this.#proposals.add(request, wanted);
    this.#schedule();
    return await result;
  }

  /** Resolves when a read of `machine` in the same turn is linearizable for a caller that asked now. */
  linearizable(): Promise<void> {
    if (this.#stopped) return Promise.reject(refusal("stopped"));
    const ready = this.#reads.wait();
    this.#schedule();
    return ready;
  }

  /** Resolves when what the last compaction left behind is removed and that is durable. */
  async compacted(): Promise<void> {
    for (;;) {
      const { done, flushed } = this.machine.compactStep();
      flushed.catch((cause: unknown) => this.#fail("the database could not be written", cause));
      if (done) return await flushed;
      await this.seams.clock.sleep(1, this.#stopping.signal);
    }
  }

  /** Resolves when another leader is known, or none. */
  leaderChange(signal: AbortSignal): Promise<void> {
    return this.#leaderMoved.wait(signal);
  }

  /**
   * Hands leadership to the follower that has most of the log. Resolves when another leader is known and this member's own requests
   * are answered (they go through the new leader), or after `withinMs`.
   */
  async handOver(withinMs: number): Promise<void> {
    if (!this.isLeader) return;
    const { clock } = this.seams;
    const { progress, confState } = this.#raft.status();
    let best: { id: NodeId; match: number } | undefined;
    for (const [id, p] of progress) {
      if (id !== this.id && p.recentActive && confState.voters.includes(id) && p.match > (best?.match ?? -1))
        best = { id, match: p.match };
    }
    if (best === undefined) return;
    this.#raft.transferLeader(best.id);
    this.#schedule();
    const deadline = clock.now() + withinMs;
    const underWay = () => this.isLeader || this.#leader === NOBODY || this.#proposals.waiting > 0;
    while (underWay() && !this.#stopped && clock.now() < deadline) await clock.sleep(5);
  }

  /** Stops without handing over: everything acknowledged is durable already. */
  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#halt();
      this.#reportEnd({});
    }
    await this.#storage.close();
  }

  #halt(): void {
    this.#stopped = true;
    this.#receiving?.[Symbol.dispose]();
    this.#receiving = undefined;
    this.#stopping.abort(refusal("stopped"));
    this.#proposals.stop();
    this.#reads.stop();
    this.#leaderMoved.wake();
    this.hub.wakeAll();
  }

  /** A broken disk or invariant: nothing more is promised, nothing more is said (Raft figure 2 rests on the disk). */
  #fail(what: string, cause: unknown): void {
    if (this.#stopped) return;
    this.seams.log("error", `member stops: ${what}`, { error: cause instanceof Error ? cause.message : String(cause) });
    this.#halt();
    this.#reportEnd({ cause: cause ?? new Error(what) });
  }

  async #tickLoop(): Promise<void> {
    const { clock } = this.seams;
    const electionMs = this.config.heartbeatMs * this.config.electionTicks;
    try {
      for (;;) {
        // One tick a wake: after a pause the lost time is not made up for, or a burst would start an election at once.
        await clock.sleep(this.config.heartbeatMs, this.#stopping.signal);
        this.#guard(() => {
          this.#raft.tick();
          this.#proposals.expire(this.#leaderSince, electionMs);
          this.#reads.tick();
          this.leases.tick();
          if (this.#machine && this.#leader !== NOBODY) this.members.publish(this);
          if (
            this.#leader === NOBODY &&
            this.#leaderLostAt !== undefined &&
            clock.now() - this.#leaderLostAt >= 3 * electionMs
          )
            this.hub.leaderLost();
        });
        this.#schedule();
      }
    } catch (error) {
      if (!this.#stopped) this.#fail("the clock failed", error);
    }
  }

  /** The rest of a compaction's clean-up, while nothing else is to be applied. */
  async #cleanUp(): Promise<void> {
    if (this.#cleaning) return;
    this.#cleaning = true;
    try {
      await this.compacted();
    } catch (error) {
      // A snapshot or the end came in between: there is nothing left to clean.
      if (!(error instanceof RpcError)) this.#fail("a compaction could not be finished", error);
    } finally {
      this.#cleaning = false;
    }
  }

  async #progressLoop(): Promise<void> {
    try {
      for (;;) {
        await this.seams.clock.sleep(this.config.progressNotifyMs, this.#stopping.signal);
        if (this.#machine) this.hub.notifyProgress();
      }
    } catch (error) {
      if (!this.#stopped) this.#fail("the clock failed", error);
    }
  }

  #guard(act: () => void): void {
    if (this.#stopped) return;
    try {
      act();
    } catch (error) {
      this.#fail("an invariant does not hold", error);
    }
  }

  /** Several causes in one turn of the process make one turn here. */
  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    const act = () => {
      this.#scheduled = false;
      this.#guard(() => this.#turn());
    };
    if (this.seams.afterInput) this.seams.afterInput(act);
    else void Promise.resolve().then(act);
  }

  #turn(): void {
    for (const message of this.#unsent.splice(0)) this.#send(message);
    this.#feed();
    if (this.#leader !== NOBODY) this.#startReads();
    for (let ready = this.#raft.ready(); ready !== undefined && !this.#stopped; ready = this.#raft.ready())
      this.#process(ready);
    this.#apply();
  }

  /** Requests enter the log at once while the disk is idle; while it is busy they gather, and share the next write. */
  #feed(): void {
    if (this.#proposals.queued === 0 || this.#leader === NOBODY) return;
    const oldest = this.#proposals.oldestQueuedAt;
    if (this.isLeader && this.#persisting.busy && oldest !== undefined && this.seams.clock.now() - oldest < GATHER_MS) {
      if (this.#gathering) return;
      this.#gathering = true;
      this.seams.clock.sleep(GATHER_MS, this.#stopping.signal).then(
        () => {
          this.#gathering = false;
          this.#schedule();
        },
        () => {
          this.#gathering = false;
        },
      );
      return;
    }
    this.#proposals.feed((data) => this.#raft.propose(data));
  }

  #startReads(): void {
    const laterMs = this.#reads.start();
    if (laterMs === 0 || this.#gatheringReads) return;
    this.#gatheringReads = true;
    const over = () => {
      this.#gatheringReads = false;
      this.#schedule();
    };
    this.seams.clock.sleep(laterMs, this.#stopping.signal).then(over, over);
  }

  /** In the order that raft/types.ts documents: the order is the safety argument. */
  #process(ready: Ready): void {
    if (ready.hardState) {
      this.#term = ready.hardState.term;
      this.#commit = ready.hardState.commit;
    }
    if (ready.softState) this.#roleChanged(ready.softState.role, ready.softState.leader);
    for (const message of ready.messages) this.#send(message);
    const install = ready.snapshot && this.#install(ready.snapshot);
    this.#persisting.add(ready, install);
    if (ready.committed.length > 0)
      this.#committed = this.#committed.length === 0 ? [...ready.committed] : this.#committed.concat(ready.committed);
    if (ready.readStates.length > 0) {
      this.#reads.answered(ready.readStates, this.#machine?.appliedIndex ?? 0);
      this.#startReads();
    }
  }

  #persisted(step: {
    readonly last: { readonly index: Index; readonly term: Term } | undefined;
    readonly afterPersist: readonly Message[];
  }): void {
    this.#guard(() => {
      if (step.last) this.#raft.persisted(step.last.index, step.last.term);
      this.#unsent.push(...step.afterPersist);
    });
    this.#schedule();
  }

  #send(message: Message): void {
    if (message.to === this.id) return;
    if (message.type === "snapshot") this.#snapshots.send(message);
    else this.seams.network.send(message.to, encodeRaftMessage(message));
  }

  #roleChanged(role: Role, leader: NodeId): void {
    const now = this.seams.clock.now();
    const wasLeader = this.isLeader;
    this.#role = role;
    if (leader !== this.#leader) {
      this.#leader = leader;
      if (leader === NOBODY) this.#leaderLostAt = now;
      else this.#leaderSince = now;
      this.seams.log("info", leader === NOBODY ? "raft.node lost leader" : "raft.node elected leader", {
        leader: leader.toString(16),
        term: this.#term,
      });
      if (leader !== NOBODY) {
        this.#leaderChanges++;
        this.#reads.leaderChanged();
        this.#startReads();
      }
      this.#leaderMoved.wake();
    }
    if (this.isLeader && !wasLeader) this.leases.promote();
    if (!this.isLeader && wasLeader) this.leases.demote();
  }

  // --- applying ---

  #apply(): void {
    const machine = this.#machine;
    if (machine === undefined || this.#committed.length === 0) return;
    const entries = this.#takeCommitted();
    const { results, flushed } = machine.apply(entries.map((entry) => this.#applyEntry(entry)));
    flushed.catch((cause: unknown) => this.#fail("the database could not be written", cause));
    const revisions: RevisionEvents[] = [];
    for (const result of results) {
      if (result.events) revisions.push(result.events);
      if (result.leases) this.leases.applied(result.leases);
      if (result.compacted !== undefined) void this.#cleanUp();
    }
    this.hub.publish(revisions);
    for (const result of results) this.#proposals.settle(result);
    this.#raft.applied(machine.appliedIndex);
    this.#reads.applied(machine.appliedIndex);
    this.#snapshots.afterApply(flushed);
    if (this.#committed.length === 0) this.#schedule();
    else
      void this.seams.clock.sleep(0, this.#stopping.signal).then(
        () => this.#schedule(),
        () => undefined,
      );
  }

  /** A batch; a membership entry ends it, since it takes effect before the next entry. */
  #takeCommitted(): readonly Entry[] {
    const change = this.#committed.findIndex((entry) => entry.type === "confChange");
    const end = change === -1 ? APPLY_BATCH : Math.min(APPLY_BATCH, change + 1);
    const entries = this.#committed.slice(0, end);
    this.#committed = end >= this.#committed.length ? [] : this.#committed.slice(end);
    return entries;
  }

  #applyEntry(entry: Entry): ApplyEntry {
    const { index, term } = entry;
    if (entry.type === "confChange") {
      return {
        index,
        term,
        request: undefined,
        confState: this.#raft.applyConfChange(decodeConfChange(entry.data)?.change),
      };
    }
    return { index, term, request: entry.data.length === 0 ? undefined : InternalRaftRequest.decode(entry.data) };
  }

  // --- snapshots ---

  /** A snapshot from the leader takes the place of the whole state. Reads are refused until it is in. */
  async #install(snapshot: SnapshotMetadata): Promise<void> {
    const previous = this.#machine?.mvcc.currentRevision ?? 0;
    this.#machine = undefined;
    this.#committed = [];
    const machine = await this.#snapshots.install(snapshot);
    if (this.#stopped) return;
    assert(
      machine.appliedIndex === snapshot.index,
      `the snapshot at ${snapshot.index} holds the state at ${machine.appliedIndex}`,
    );
    this.#machine = machine;
    this.hub.storeReplaced(previous);
    this.#raft.snapshotInstalled(snapshot.index);
    this.#reads.applied(snapshot.index);
    this.seams.log("info", "applied snapshot", { index: snapshot.index, term: snapshot.term });
  }

  /** What a link garbles is lost, not fatal. */
  #decode(bytes: Uint8Array): Message | undefined {
    try {
      return decodeRaftMessage(bytes);
    } catch (error) {
      this.seams.log("warn", "dropped a message that is none", { error: String(error) });
      return undefined;
    }
  }

  #handler(): NetworkHandler {
    return {
      message: (from, bytes) => {
        const message = this.#decode(bytes);
        if (message === undefined || message.from !== from || message.to !== this.id) return;
        this.#guard(() => this.#raft.step(message));
        this.#schedule();
      },
      snapshot: async (from, stream) => {
        const message = await receiveSnapshot(this.#storage.files, stream);
        if (message.from !== from || message.to !== this.id) return;
        this.#guard(() => this.#raft.step(message));
        this.#schedule();
      },
      request: (_from, method, body, signal) => this.leases.answer(method, body, signal),
    };
  }
}
