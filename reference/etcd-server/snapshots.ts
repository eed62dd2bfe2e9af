import { openStateMachine } from "../apply/state-machine.ts";
import type { StateMachine } from "../apply/types.ts";
import type { Index, Message, RaftCore, SnapshotMetadata } from "../raft/types.ts";
import { decodeRaftMessage, encodeRaftMessage } from "../transport/raft-codec.ts";
import type { SnapshotFiles } from "../wal/snapshot-files.ts";
import type { Storage } from "./boot.ts";
import type { MemberConfig, MemberSeams } from "./config.ts";

const MAX_HEAD_BYTES = 1024 * 1024;

export interface SnapshotsConfig {
  readonly config: MemberConfig;
  readonly seams: MemberSeams;
  readonly storage: Storage;
  readonly raft: RaftCore;
  readonly machine: () => StateMachine;
  readonly fail: (what: string, cause: unknown) => void;
  readonly signal: AbortSignal;
  readonly wake: () => void;
}

/**
 * Shortens the log, and moves whole states between members. The database itself is the snapshot of this member: once it is flushed up to an
 * index, a record in the log says so, and the log before it may go.
 */
export class Snapshots {
  readonly #c: SnapshotsConfig;
  #lastIndex: number;
  #compacting = false;
  #installing = false;

  constructor(c: SnapshotsConfig) {
    this.#c = c;
    this.#lastIndex = c.storage.raft.snapshot.index;
  }

  /** @param flushed of the commit that was just made. */
  afterApply(flushed: Promise<void>): void {
    const machine = this.#c.machine();
    if (this.#compacting || this.#installing || machine.appliedIndex - this.#lastIndex < this.#c.config.snapshotCount)
      return;
    this.#compacting = true;
    const snapshot: SnapshotMetadata = {
      index: machine.appliedIndex,
      term: machine.appliedTerm,
      confState: this.#c.raft.status().confState,
    };
    this.#compact(snapshot, flushed).then(
      () => {
        this.#compacting = false;
      },
      (cause: unknown) => this.#c.fail("the log could not be shortened", cause),
    );
  }

  async #compact(snapshot: SnapshotMetadata, flushed: Promise<void>): Promise<void> {
    const { storage, raft, seams, config } = this.#c;
    await flushed;
    // A received snapshot came in between: its record is newer, and the last record is the one that counts.
    if (this.#installing || snapshot.index <= this.#lastIndex) return;
    await storage.wal.saveSnapshot(snapshot);
    await storage.wal.release(snapshot.index);
    this.#lastIndex = Math.max(this.#lastIndex, snapshot.index);
    if (this.#c.signal.aborted) return;
    // Entries of a little while stay in memory: a follower that is only slow needs no whole state.
    const to = snapshot.index - config.catchUpEntries;
    if (to > raft.status().firstIndex) raft.compact(to as Index);
    seams.log("info", "saved snapshot", { "snapshot-index": snapshot.index });
  }

  /** Streams the present state to a follower for which the log is too short. */
  send(message: Message): void {
    const { storage, seams, raft, signal, wake } = this.#c;
    const machine = this.#c.machine();
    const confState = message.snapshot?.confState ?? raft.status().confState;
    const head = encodeRaftMessage({
      ...message,
      snapshot: { index: machine.appliedIndex, term: machine.appliedTerm, confState },
    });
    // Taken now: the head names the state of this very moment.
    const content = storage.backend.snapshot()[Symbol.asyncIterator]();
    const first = content.next();
    seams.log("info", "sending database snapshot", { to: message.to.toString(16), index: machine.appliedIndex });
    const report = (ok: boolean) => {
      if (signal.aborted) return;
      raft.reportSnapshot(message.to, ok);
      wake();
    };
    seams.network.sendSnapshot(message.to, stream(head, first, content), signal).then(
      () => {
        seams.log("info", "sent database snapshot", { to: message.to.toString(16), index: machine.appliedIndex });
        report(true);
      },
      (error: unknown) => {
        seams.log("warn", "could not send a snapshot", { to: message.to.toString(16), error: String(error) });
        report(false);
      },
    );
  }

  /**
   * Replaces the state by a received snapshot whose file is durable. The log's record comes first: after a crash at any point
   * either the record is missing (the old state goes on) or `openStorage` finishes the job.
   */
  async install(snapshot: SnapshotMetadata): Promise<StateMachine> {
    const { storage, seams } = this.#c;
    this.#installing = true;
    await storage.wal.saveSnapshot(snapshot);
    await storage.backend.close();
    await seams.backend.restore(storage.files.read(snapshot));
    storage.backend = await seams.backend.open();
    storage.machine = (seams.makeStateMachine ?? openStateMachine)(storage.backend);
    await storage.files.prune(0);
    await storage.wal.release(snapshot.index);
    this.#lastIndex = snapshot.index;
    this.#installing = false;
    return storage.machine;
  }
}

async function* stream(
  head: Uint8Array,
  first: Promise<IteratorResult<Uint8Array>>,
  rest: AsyncIterator<Uint8Array>,
): AsyncIterable<Uint8Array> {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, head.length);
  try {
    yield length;
    yield head;
    for (let next = await first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Stores a snapshot stream; resolves with raft's message about it once the file is durable. */
export async function receiveSnapshot(files: SnapshotFiles, chunks: AsyncIterable<Uint8Array>): Promise<Message> {
  const iterator = chunks[Symbol.asyncIterator]();
  let buffer = Buffer.alloc(0);
  const fill = async (bytes: number): Promise<void> => {
    while (buffer.length < bytes) {
      const next = await iterator.next();
      if (next.done === true) throw new Error("the snapshot stream ends before its head");
      buffer = Buffer.concat([buffer, next.value]);
    }
  };
  await fill(4);
  const length = buffer.readUInt32BE(0);
  if (length > MAX_HEAD_BYTES) throw new Error("the snapshot stream has no proper head");
  await fill(4 + length);
  const message = decodeRaftMessage(buffer.subarray(4, 4 + length));
  if (message.type !== "snapshot" || message.snapshot === undefined)
    throw new Error("the snapshot stream begins with another message");
  async function* content(): AsyncIterable<Uint8Array> {
    if (buffer.length > 4 + length) yield buffer.subarray(4 + length);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  }
  await files.receive(message.snapshot, content());
  return message;
}
