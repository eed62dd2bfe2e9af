import type { ConfState, Entry, Index, Message, MessageType, NodeId, SnapshotMetadata, Term } from "../raft/types.ts";

/**
 * raftpb.Message by hand: it is the hottest encoding of a member (each entry passes it once per follower), and terms and
 * indexes stay plain numbers on the way. A property test holds it to the generated codec.
 */
const TYPE_NUMBERS: Readonly<Record<MessageType, number>> = {
  propose: 2,
  append: 3,
  appendResponse: 4,
  vote: 5,
  voteResponse: 6,
  snapshot: 7,
  heartbeat: 8,
  heartbeatResponse: 9,
  transferLeader: 13,
  timeoutNow: 14,
  readIndex: 15,
  readIndexResponse: 16,
  preVote: 17,
  preVoteResponse: 18,
};
const TYPES_BY_NUMBER = new Map(Object.entries(TYPE_NUMBERS).map(([type, number]) => [number, type as MessageType]));

export class RaftCodecError extends Error {
  override readonly name = "RaftCodecError";
}

/** Encodes one message as raftpb.Message. */
export function encodeRaftMessage(m: Message): Buffer {
  let size = 96 + (m.context?.length ?? 0);
  for (const entry of m.entries ?? []) size += entry.data.length + 40;
  if (m.snapshot) size += 64 + 12 * (m.snapshot.confState.voters.length + m.snapshot.confState.learners.length);
  const w = new Writer(Buffer.allocUnsafe(size));
  w.uint(1, TYPE_NUMBERS[m.type]);
  w.id(2, m.to);
  w.id(3, m.from);
  w.uint(4, m.term);
  w.uint(5, m.logTerm ?? 0);
  w.uint(6, m.index ?? 0);
  for (const entry of m.entries ?? []) writeEntry(w, entry);
  w.uint(8, m.commit ?? 0);
  if (m.snapshot) writeSnapshot(w, m.snapshot);
  w.uint(10, m.reject === true ? 1 : 0);
  w.uint(11, m.rejectHint ?? 0);
  if (m.context) w.bytes(12, m.context);
  return w.done();
}

function writeEntry(w: Writer, entry: Entry): void {
  const type = entry.type === "confChange" ? 1 : 0;
  const dataSize = entry.data.length === 0 ? 0 : 1 + varintSize(entry.data.length) + entry.data.length;
  const size = (type === 0 ? 0 : 2) + uintSize(entry.term) + uintSize(entry.index) + dataSize;
  w.tag(7, 2);
  w.varint(size);
  w.uint(1, type);
  w.uint(2, entry.term);
  w.uint(3, entry.index);
  if (entry.data.length > 0) w.bytes(4, entry.data);
}

function writeSnapshot(w: Writer, snapshot: SnapshotMetadata): void {
  const ids = 12 * (snapshot.confState.voters.length + snapshot.confState.learners.length);
  const conf = new Writer(Buffer.allocUnsafe(ids + 8));
  for (const id of snapshot.confState.voters) conf.idAlways(1, id);
  for (const id of snapshot.confState.learners) conf.idAlways(2, id);
  const metadata = new Writer(Buffer.allocUnsafe(ids + 48));
  metadata.bytes(1, conf.done());
  metadata.uint(2, snapshot.index);
  metadata.uint(3, snapshot.term);
  const outer = new Writer(Buffer.allocUnsafe(ids + 60));
  outer.bytes(2, metadata.done());
  w.bytes(9, outer.done());
}

/**
 * Decodes one raftpb.Message. It is copied first, so that a small entry does not keep a large receive buffer alive; entries are views
 * of that one copy, since they come and go together.
 */
export function decodeRaftMessage(bytes: Uint8Array): Message {
  const r = new Reader(new Uint8Array(bytes));
  let type: MessageType | undefined;
  let to = 0n;
  let from = 0n;
  let term = 0;
  let logTerm = 0;
  let index = 0;
  let commit = 0;
  let reject = false;
  let rejectHint = 0;
  let snapshot: SnapshotMetadata | undefined;
  let context: Uint8Array | undefined;
  const entries: Entry[] = [];
  // Field 1 may be left out when it is zero; no message of ours has that type.
  while (r.more()) {
    switch (r.tag()) {
      case 1: {
        const number = r.number();
        type = TYPES_BY_NUMBER.get(number);
        if (type === undefined) throw new RaftCodecError(`raft message of unknown type ${number}`);
        break;
      }
      case 2:
        to = r.id();
        break;
      case 3:
        from = r.id();
        break;
      case 4:
        term = r.number();
        break;
      case 5:
        logTerm = r.number();
        break;
      case 6:
        index = r.number();
        break;
      case 7:
        entries.push(readEntry(new Reader(r.bytes())));
        break;
      case 8:
        commit = r.number();
        break;
      case 9:
        snapshot = readSnapshot(new Reader(r.bytes()));
        break;
      case 10:
        reject = r.number() !== 0;
        break;
      case 11:
        rejectHint = r.number();
        break;
      case 12:
        context = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  if (type === undefined) throw new RaftCodecError("raft message without a type");
  return {
    type,
    to: to as NodeId,
    from: from as NodeId,
    term: term as Term,
    logTerm: logTerm as Term,
    index: index as Index,
    entries,
    commit: commit as Index,
    reject,
    rejectHint: rejectHint as Index,
    ...(snapshot && { snapshot }),
    ...(context && { context }),
  };
}

function readEntry(r: Reader): Entry {
  let type: Entry["type"] = "normal";
  let term = 0;
  let index = 0;
  let data = EMPTY;
  while (r.more()) {
    switch (r.tag()) {
      case 1:
        type = r.number() === 0 ? "normal" : "confChange";
        break;
      case 2:
        term = r.number();
        break;
      case 3:
        index = r.number();
        break;
      case 4:
        data = r.bytes();
        break;
      default:
        r.skip();
    }
  }
  return { type, term: term as Term, index: index as Index, data };
}

function readSnapshot(outer: Reader): SnapshotMetadata {
  let index = 0;
  let term = 0;
  const voters: NodeId[] = [];
  const learners: NodeId[] = [];
  while (outer.more()) {
    if (outer.tag() !== 2) {
      outer.skip();
      continue;
    }
    const metadata = new Reader(outer.bytes());
    while (metadata.more()) {
      switch (metadata.tag()) {
        case 1: {
          const conf = new Reader(metadata.bytes());
          while (conf.more()) {
            const field = conf.tag();
            if (field === 1) readIds(conf, voters);
            else if (field === 2) readIds(conf, learners);
            else conf.skip();
          }
          break;
        }
        case 2:
          index = metadata.number();
          break;
        case 3:
          term = metadata.number();
          break;
        default:
          metadata.skip();
      }
    }
  }
  const confState: ConfState = { voters, learners };
  return { index: index as Index, term: term as Term, confState };
}

/** A repeated id may come packed or not. */
function readIds(r: Reader, into: NodeId[]): void {
  if (r.wireType === 0) {
    into.push(r.id() as NodeId);
    return;
  }
  const packed = new Reader(r.bytes());
  while (packed.more()) into.push(packed.packedId() as NodeId);
}

const EMPTY: Uint8Array = new Uint8Array(0);

function varintSize(value: number): number {
  let size = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 0x80);
    size++;
  }
  return size;
}

function uintSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

class Writer {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  varint(value: number): void {
    while (value >= 0x80) {
      this.#buffer[this.#at++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#buffer[this.#at++] = value;
  }

  tag(field: number, wireType: number): void {
    this.#buffer[this.#at++] = (field << 3) | wireType;
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    this.tag(field, 0);
    this.varint(value);
  }

  id(field: number, value: bigint): void {
    if (value !== 0n) this.idAlways(field, value);
  }

  idAlways(field: number, value: bigint): void {
    this.tag(field, 0);
    let low = Number(value & 0xffff_ffffn);
    let high = Number(value >> 32n);
    while (high > 0) {
      this.#buffer[this.#at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.varint(low);
  }

  bytes(field: number, value: Uint8Array): void {
    this.tag(field, 2);
    this.varint(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  wireType = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  more(): boolean {
    return this.#at < this.#bytes.length;
  }

  tag(): number {
    const tag = this.#varint();
    this.wireType = tag & 7;
    return tag >>> 3;
  }

  number(): number {
    if (this.wireType !== 0) throw new RaftCodecError("raft message: a number was expected");
    return this.#varint();
  }

  id(): bigint {
    if (this.wireType !== 0) throw new RaftCodecError("raft message: an id was expected");
    return this.packedId();
  }

  packedId(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RaftCodecError("raft message: a varint is too long");
  }

  bytes(): Uint8Array {
    if (this.wireType !== 2) throw new RaftCodecError("raft message: bytes were expected");
    const length = this.#varint();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RaftCodecError("raft message: it ends early");
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }

  skip(): void {
    if (this.wireType === 0) this.#varint();
    else if (this.wireType === 2) this.bytes();
    else throw new RaftCodecError(`raft message: wire type ${this.wireType}`);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RaftCodecError("raft message: it ends early");
    return byte;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new RaftCodecError("raft message: a number is beyond 2^53");
        return value;
      }
      scale *= 0x80;
    }
    throw new RaftCodecError("raft message: a varint is too long");
  }
}
