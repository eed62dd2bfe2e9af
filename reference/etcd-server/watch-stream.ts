import type { Event } from "../../api/etcd/gen/kv.ts";
import { WatchCreateRequest_FilterType, type WatchCreateRequest } from "../../api/etcd/gen/rpc.ts";
import type { KeyRange } from "../mvcc/types.ts";
import { refusal, textOf, type RpcError } from "./errors.ts";
import { Wake } from "./wake.ts";
import type { WatchHub } from "./watch.ts";

/** The id that etcd gives to answers that are about no single watcher. */
export const NO_WATCHER = -1n;
/** A stream that holds this much unread makes its watchers lag instead of growing. */
const MAX_QUEUED_RESPONSES = 256;
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;

/** A watch response before its header is complete: `revision` is the header's. */
export interface WatchAnswer {
  readonly revision: number;
  readonly watchId: bigint;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
  readonly fragment?: boolean;
  readonly events: readonly Event[];
}

export class Watcher {
  readonly id: bigint;
  readonly stream: WatchStream;
  readonly range: KeyRange;
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly fragment: boolean;
  readonly progressNotify: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** Nothing before it is to be handed over (any more). */
  nextRevision = 0;
  /** Events were sent since the last progress notification: the next one is left out. */
  active = false;

  constructor(id: bigint, stream: WatchStream, range: KeyRange, request: WatchCreateRequest) {
    this.id = id;
    this.stream = stream;
    this.range = range;
    this.startRevision = Number(request.startRevision);
    this.prevKv = request.prevKv;
    this.fragment = request.fragment;
    this.progressNotify = request.progressNotify;
    this.noPut = request.filters.includes(WatchCreateRequest_FilterType.NOPUT);
    this.noDelete = request.filters.includes(WatchCreateRequest_FilterType.NODELETE);
  }
}

/** The watchers of one client stream and what is waiting to be read from it, in order. */
export class WatchStream {
  readonly watchers = new Map<bigint, Watcher>();
  readonly lagging = new Set<Watcher>();
  readonly wake = new Wake();
  requiresLeader = false;
  readonly #hub: WatchHub;
  readonly #fragmentBytes: number;
  readonly #queue: { answer: WatchAnswer; bytes: number }[] = [];
  #head = 0;
  #queuedBytes = 0;
  #nextId = 0n;
  #progressAsked = false;
  #ended: RpcError | undefined;

  constructor(hub: WatchHub, fragmentBytes: number) {
    this.#hub = hub;
    this.#fragmentBytes = fragmentBytes;
  }

  get full(): boolean {
    return this.#queue.length - this.#head >= MAX_QUEUED_RESPONSES || this.#queuedBytes >= MAX_QUEUED_BYTES;
  }

  /** Set when the server ended the stream. */
  get ended(): RpcError | undefined {
    return this.#ended;
  }

  /** The next answer, if there is one. Reading makes room, and room lets lagging watchers catch up. */
  take(): WatchAnswer | undefined {
    if (this.lagging.size > 0 && !this.full) this.#hub.catchUp(this);
    const next = this.#queue[this.#head];
    if (next === undefined) return undefined;
    this.#head++;
    this.#queuedBytes -= next.bytes;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return next.answer;
  }

  /** etcd's order of checks: a negative start is compacted, then the range, then the id. */
  create(request: WatchCreateRequest): void {
    const key = request.key.length === 0 ? Uint8Array.of(0) : request.key;
    if (request.startRevision < 0n) return this.#refuseCreate(textOf("compacted"));
    const openEnd = request.rangeEnd.length === 1 && request.rangeEnd[0] === 0;
    if (request.rangeEnd.length > 0 && !openEnd && Buffer.compare(key, request.rangeEnd) >= 0)
      return this.#refuseCreate("mvcc: watcher range is empty");
    let id = request.watchId;
    if (id === 0n) {
      while (this.watchers.has(this.#nextId)) this.#nextId++;
      id = this.#nextId++;
    } else if (this.watchers.has(id)) {
      return this.#refuseCreate("mvcc: duplicate watch ID provided on the WatchStream");
    }
    const watcher = new Watcher(id, this, { key, rangeEnd: request.rangeEnd }, request);
    this.watchers.set(id, watcher);
    this.#push({ revision: this.#hub.revision, watchId: id, created: true, events: [] }, 0);
    this.#hub.start(watcher, watcher.startRevision);
    return undefined;
  }

  cancel(id: bigint): void {
    const watcher = this.watchers.get(id);
    if (watcher === undefined) return;
    this.#remove(watcher);
    this.#push({ revision: this.#hub.revision, watchId: id, canceled: true, events: [] }, 0);
  }

  /** Its header names no revision, as etcd's does not: nothing is vouched for but the compaction. */
  cancelCompacted(watcher: Watcher, compactRevision: number): void {
    this.#remove(watcher);
    this.#push({ revision: 0, watchId: watcher.id, canceled: true, compactRevision, events: [] }, 0);
  }

  /** Answered once, when every watcher of the stream has been handed everything up to the revision it names. */
  askProgress(): void {
    this.#progressAsked = true;
    this.answerProgress();
    this.wake.wake();
  }

  answerProgress(): void {
    if (!this.#progressAsked || this.watchers.size === 0 || this.lagging.size > 0) return;
    const revision = this.#hub.revision;
    for (const watcher of this.watchers.values()) if (revision < watcher.startRevision) return;
    this.#progressAsked = false;
    this.#push({ revision, watchId: NO_WATCHER, events: [] }, 0);
  }

  notifyProgress(): void {
    const revision = this.#hub.revision;
    for (const watcher of this.watchers.values()) {
      if (!watcher.progressNotify) continue;
      if (!watcher.active && !this.lagging.has(watcher) && revision >= watcher.startRevision && !this.full) {
        this.#push({ revision, watchId: watcher.id, events: [] }, 0);
      }
      watcher.active = false;
    }
  }

  leaderLost(): void {
    if (!this.requiresLeader || this.#ended) return;
    this.#ended = refusal("noLeader");
    this.wake.wake();
  }

  pushEvents(watcher: Watcher, events: readonly Event[], revision: number): void {
    watcher.active = true;
    const pieces = watcher.fragment ? fragments(events, this.#fragmentBytes) : [{ events, bytes: sizeOf(events) }];
    for (const [i, piece] of pieces.entries()) {
      this.#push(
        { revision, watchId: watcher.id, events: piece.events, ...(i < pieces.length - 1 && { fragment: true }) },
        piece.bytes,
      );
    }
  }

  #refuseCreate(cancelReason: string): void {
    this.#push(
      { revision: this.#hub.revision, watchId: NO_WATCHER, created: true, canceled: true, cancelReason, events: [] },
      0,
    );
  }

  #remove(watcher: Watcher): void {
    this.#hub.stop(watcher);
    this.watchers.delete(watcher.id);
  }

  #push(answer: WatchAnswer, bytes: number): void {
    this.#queue.push({ answer, bytes });
    this.#queuedBytes += bytes;
    this.wake.wake();
  }
}

interface Piece {
  readonly events: readonly Event[];
  readonly bytes: number;
}

/** Splits at `limit` bytes; an event is never split, so a piece of one event may be longer. */
function fragments(events: readonly Event[], limit: number): Piece[] {
  const pieces: Piece[] = [];
  let piece: Event[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = sizeOf([event]);
    if (piece.length > 0 && bytes + size >= limit) {
      pieces.push({ events: piece, bytes });
      piece = [];
      bytes = 0;
    }
    piece.push(event);
    bytes += size;
  }
  pieces.push({ events: piece, bytes });
  return pieces;
}

/** Near enough to the encoded size: keys, values and 48 bytes of numbers each. */
function sizeOf(events: readonly Event[]): number {
  let bytes = 0;
  for (const { kv, prevKv } of events) {
    if (kv) bytes += kv.key.length + kv.value.length + 48;
    if (prevKv) bytes += prevKv.key.length + prevKv.value.length + 48;
  }
  return bytes;
}
