import { InvariantViolation } from "../../../seams/assert.ts";
import { decodeConfChange } from "../membership.ts";
import type {
  ConfState,
  Entry,
  HardState,
  Index,
  Message,
  NodeId,
  RaftConfig,
  RaftCore,
  ReadState,
  Ready,
  SnapshotMetadata,
  Term,
} from "../types.ts";
import type { LogView, SafetyMonitor } from "./safety.ts";

/** What a crash leaves. */
interface DiskState {
  hardState: HardState;
  snapshot: SnapshotMetadata;
  /** After `snapshot.index`, without gaps. */
  entries: Entry[];
}

/** What is applied: the membership and the place in the log stand for the whole state. */
interface Machine {
  readonly index: Index;
  readonly term: Term;
  readonly confState: ConfState;
}

interface Write {
  readonly ready: Ready;
  /** The state that comes with `ready.snapshot`. */
  readonly machine: Machine | undefined;
  /** Nobody else can have heard of what it holds before it is durable. */
  readonly isPrivate: boolean;
}

/** What the member's surroundings learn from it. */
export interface Surroundings {
  readonly monitor: SafetyMonitor;
  start(config: Pick<RaftConfig, "id" | "confState" | "hardState" | "snapshot" | "entries" | "applied">): RaftCore;
  send(message: Message): void;
  applied(member: Member, entry: Entry): void;
  read(member: Member, state: ReadState): void;
}

/** The smallest edge around one core: a disk with a queue of writes, a state machine, and what survives a crash of both. */
export class Member implements LogView {
  readonly id: NodeId;
  core: RaftCore | undefined;
  /** Restarts so far. */
  life = 0;
  /** Writes wait for `persist`. */
  isDiskSlow = false;
  /** Committed entries wait for `apply`. */
  isApplySlow = false;
  readonly #around: Surroundings;
  readonly #disk: DiskState;
  #writes: Write[] = [];
  /** Written without a sync: durable with the next write that has one. */
  #unsynced: HardState | undefined;
  #machine: Machine;
  /** The machine as a crash would find it: some state at or before `#machine`. */
  #flushedMachine: Machine;
  #toApply: Entry[] = [];
  #received = new Map<Index, Machine>();
  /** Disk with all writes under way laid over it; `#view[0]` is at `#viewStart + 1`. */
  #view: Entry[] = [];
  #viewStart: SnapshotMetadata;
  #commitSeen: Index = 0 as Index;

  constructor(id: NodeId, initial: ConfState, around: Surroundings) {
    this.id = id;
    this.#around = around;
    const snapshot = { index: 0 as Index, term: 0 as Term, confState: initial };
    this.#disk = { hardState: { term: 0 as Term, vote: 0n as NodeId, commit: 0 as Index }, snapshot, entries: [] };
    this.#machine = snapshot;
    this.#flushedMachine = snapshot;
    this.#viewStart = snapshot;
    this.restart();
  }

  get snapshotIndex(): Index {
    return this.#viewStart.index;
  }

  termAt(index: Index): Term | undefined {
    if (index === this.#viewStart.index) return this.#viewStart.term;
    return this.#view[index - this.#viewStart.index - 1]?.term;
  }

  get log(): readonly Entry[] {
    return this.#view;
  }

  get writesWaiting(): number {
    return this.#writes.length;
  }

  crash(): void {
    this.core = undefined;
    this.#writes = [];
    this.#unsynced = undefined;
    this.#toApply = [];
    this.#received.clear();
    this.#machine = this.#flushedMachine;
  }

  restart(): void {
    if (this.core !== undefined) return;
    this.life++;
    const { hardState, snapshot, entries } = this.#disk;
    this.#view = [...entries];
    this.#viewStart = snapshot;
    const { index: applied, confState } = this.#machine;
    this.#commitSeen = Math.max(snapshot.index, applied) as Index;
    this.#guarded(() => {
      this.core = this.#around.start({ id: this.id, confState, hardState, snapshot, entries, applied });
    });
    this.pump();
  }

  /** Lets the core do one thing, then hands out what came of it. Nothing happens while crashed. */
  act(action: (core: RaftCore) => void): void {
    const { core } = this;
    if (core === undefined) return;
    this.#guarded(() => action(core));
    this.pump();
  }

  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error;
      this.#around.monitor.invariant(`${this.id}: ${error.message}`);
      this.crash();
    }
  }

  pump(): void {
    for (;;) {
      let ready: Ready | undefined;
      this.#guarded(() => {
        ready = this.core?.ready();
      });
      if (ready === undefined) return;
      this.#take(ready);
      this.#completeUnsynced();
      if (!this.isDiskSlow) this.#persist(Infinity);
      if (!this.isApplySlow) this.#apply(Infinity);
    }
  }

  #take(ready: Ready): void {
    const { monitor } = this.#around;
    if (ready.snapshot !== undefined) {
      this.#viewStart = ready.snapshot;
      this.#view = [];
      this.#commitSeen = ready.snapshot.index;
    }
    for (const entry of ready.entries) {
      this.#view.length = entry.index - this.#viewStart.index - 1;
      this.#view.push(entry);
    }
    const status = this.core?.status();
    if (status === undefined) return;
    // An only voter needs no answer to lead, and keeps its term to itself until it is durable.
    const isPrivate =
      status.confState.voters.length === 1 && status.role === "leader" && this.#disk.hardState.term < status.term;
    if (!isPrivate) this.#tellAppends(ready.entries);
    if (status.role === "leader" && !isPrivate) monitor.leads(this.id, this.life, status.term, this);
    for (let i = this.#commitSeen + 1; i <= status.commit; i++) {
      monitor.commits(this.id, i as Index, this.termAt(i as Index) ?? (0 as Term), status.term);
    }
    this.#commitSeen = Math.max(this.#commitSeen, status.commit) as Index;
    const machine = ready.snapshot === undefined ? undefined : this.#received.get(ready.snapshot.index);
    this.#writes.push({ ready, machine, isPrivate });
    for (const message of ready.messages) this.#send(message);
    for (const state of ready.readStates) this.#around.read(this, state);
    this.#toApply.push(...ready.committed);
  }

  #tellAppends(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#around.monitor.appends(this.id, entry, this.termAt((entry.index - 1) as Index) ?? (0 as Term));
    }
  }

  #send(message: Message): void {
    // The edge streams the state it has, and says which one that is.
    this.#around.send(message.type === "snapshot" ? { ...message, snapshot: this.#machine } : message);
  }

  #completeUnsynced(): void {
    for (;;) {
      const write = this.#writes[0];
      if (write === undefined || write.ready.mustSync) return;
      this.#writes.shift();
      this.#unsynced = write.ready.hardState ?? this.#unsynced;
      for (const message of write.ready.afterPersist) this.#send(message);
    }
  }

  /** Makes the oldest `count` waiting writes durable, in order. */
  persist(count: number): void {
    this.#persist(count);
    this.pump();
  }

  #persist(count: number): void {
    for (let done = 0; done < count; done++) {
      const write = this.#writes.shift();
      if (write === undefined) break;
      this.#makeDurable(write);
      this.#completeUnsynced();
    }
    this.#flushedMachine = this.#machine;
  }

  #makeDurable({ ready, machine, isPrivate }: Write): void {
    if (ready.snapshot !== undefined && machine !== undefined) {
      this.#disk.snapshot = ready.snapshot;
      this.#disk.entries = [];
      this.#machine = machine;
      this.#flushedMachine = machine;
      this.#toApply = this.#toApply.filter((entry) => entry.index > machine.index);
      this.#guarded(() => this.core?.snapshotInstalled(machine.index));
    }
    const first = ready.entries[0];
    if (first !== undefined) {
      this.#disk.entries.length = first.index - this.#disk.snapshot.index - 1;
      this.#disk.entries.push(...ready.entries);
    }
    this.#disk.hardState = ready.hardState ?? this.#unsynced ?? this.#disk.hardState;
    this.#unsynced = undefined;
    if (isPrivate) this.#tellAppends(ready.entries);
    const last = ready.entries.at(-1);
    if (last !== undefined) this.#guarded(() => this.core?.persisted(last.index, last.term));
    for (const message of ready.afterPersist) this.#send(message);
  }

  /** Applies the oldest `count` entries that were handed out. */
  apply(count: number): void {
    this.#apply(count);
    this.pump();
  }

  #apply(count: number): void {
    for (const entry of this.#toApply.splice(0, count)) {
      let confState: ConfState = this.#machine.confState;
      if (entry.type === "confChange") {
        this.#guarded(() => {
          confState = this.core?.applyConfChange(decodeConfChange(entry.data)?.change) ?? confState;
        });
      }
      this.#machine = { index: entry.index, term: entry.term, confState };
      this.#around.monitor.applies(this.id, entry);
      this.#around.applied(this, entry);
      this.#guarded(() => this.core?.applied(entry.index));
    }
  }

  /** Delivers a message; a snapshot's data comes with it. */
  receive(message: Message): void {
    if (message.snapshot !== undefined) this.#received.set(message.snapshot.index, message.snapshot);
    this.act((core) => core.step(message));
  }

  /** Takes a snapshot of what is applied and forgets the log before it. */
  compact(): void {
    const snapshot = this.#machine;
    if (this.core === undefined || snapshot.index <= this.#viewStart.index) return;
    // The machine is durable before the log that made it goes away.
    this.#flushedMachine = snapshot;
    this.#disk.entries = this.#disk.entries.filter((entry) => entry.index > snapshot.index);
    this.#disk.snapshot = snapshot;
    this.#view = this.#view.filter((entry) => entry.index > snapshot.index);
    this.#viewStart = snapshot;
    this.act((core) => core.compact(snapshot.index));
  }
}
