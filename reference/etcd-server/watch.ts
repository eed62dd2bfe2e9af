import { Event_EventType, type Event } from "../../api/etcd/gen/kv.ts";
import type { MvccReader } from "../apply/types.ts";
import type { KeyRange, KeyValue, MvccEvent, RevisionEvents } from "../mvcc/types.ts";
import { WatchStream, type Watcher } from "./watch-stream.ts";

/** How many events one step of catching up reads: long histories are read in pieces, so that nothing else waits. */
const CATCH_UP_EVENTS = 1000;

/** Watchers of the same range stand together: one comparison serves them all. */
interface Group {
  readonly start: string;
  /** undefined: no upper end. */
  readonly end: string | undefined;
  readonly watchers: Set<Watcher>;
}

/**
 * Hands each applied revision to whoever watches its keys. A synced watcher has been handed everything up to the newest revision;
 * one whose stream is full, or that starts in the past, is lagging: it reads the store from its own next revision until it has caught up.
 * So a slow reader costs no memory here, and nobody loses or repeats a revision.
 */
export class WatchHub {
  readonly #reader: () => MvccReader;
  readonly #streams = new Set<WatchStream>();
  /** Synced watchers of one key. */
  readonly #byKey = new Map<string, Set<Watcher>>();
  /** Synced watchers of ranges. */
  readonly #groups = new Map<string, Group>();

  constructor(reader: () => MvccReader) {
    this.#reader = reader;
  }

  get revision(): number {
    return this.#reader().currentRevision;
  }

  /** Live watchers and those of them that lag, for the metrics. */
  counts(): { readonly watchers: number; readonly slow: number; readonly streams: number } {
    let watchers = 0;
    let slow = 0;
    for (const stream of this.#streams) {
      watchers += stream.watchers.size;
      slow += stream.lagging.size;
    }
    return { watchers, slow, streams: this.#streams.size };
  }

  open(options: { readonly fragmentBytes: number }): WatchStream {
    const stream = new WatchStream(this, options.fragmentBytes);
    this.#streams.add(stream);
    return stream;
  }

  close(stream: WatchStream): void {
    for (const watcher of stream.watchers.values()) this.#unlink(watcher);
    stream.watchers.clear();
    stream.lagging.clear();
    this.#streams.delete(stream);
  }

  /** Starts a watcher: synced if it begins after the newest revision, lagging if it begins in the past. */
  start(watcher: Watcher, startRevision: number): void {
    const next = this.revision + 1;
    if (startRevision === 0 || startRevision >= next) {
      watcher.nextRevision = Math.max(startRevision, next);
      this.#link(watcher);
    } else {
      watcher.nextRevision = startRevision;
      watcher.stream.lagging.add(watcher);
    }
  }

  stop(watcher: Watcher): void {
    this.#unlink(watcher);
    watcher.stream.lagging.delete(watcher);
  }

  /** Revisions just applied, oldest first. Must be called in the same turn as the apply, so that no reader sees the one without the other. */
  publish(revisions: readonly RevisionEvents[]): void {
    if (this.#byKey.size === 0 && this.#groups.size === 0) return;
    const batches = new Map<Watcher, Event[]>();
    for (const { revision, events } of revisions) {
      for (const event of events) this.#route(event, revision, batches);
    }
    const revision = this.revision;
    for (const [watcher, events] of batches) {
      const stream = watcher.stream;
      if (stream.full) {
        const first = events[0]?.kv;
        watcher.nextRevision = first === undefined ? revision : Number(first.modRevision);
        this.#unlink(watcher);
        stream.lagging.add(watcher);
      } else {
        stream.pushEvents(watcher, events, revision);
      }
    }
  }

  /** One step of catching up for a stream that has room; true if there is more to do. */
  catchUp(stream: WatchStream): boolean {
    const reader = this.#reader();
    for (const watcher of stream.lagging) {
      if (stream.full) return false;
      if (watcher.nextRevision < reader.compactRevision) {
        // What it needs may be gone. Of the compacted revision itself every change is still there, deletions too: that one is served.
        stream.cancelCompacted(watcher, reader.compactRevision);
        continue;
      }
      const { revisions, next } = reader.eventsBetween(
        watcher.range,
        watcher.nextRevision,
        reader.currentRevision,
        CATCH_UP_EVENTS,
      );
      const events: Event[] = [];
      for (const batch of revisions)
        for (const event of batch.events) this.#collect(watcher, event, batch.revision, events);
      watcher.nextRevision = next;
      if (events.length > 0) stream.pushEvents(watcher, events, reader.currentRevision);
      if (next > reader.currentRevision) {
        stream.lagging.delete(watcher);
        this.#link(watcher);
      }
    }
    stream.answerProgress();
    return stream.lagging.size > 0 && !stream.full;
  }

  /** The store was replaced by a snapshot: revisions were skipped here, so every watcher reads them back. */
  storeReplaced(previousRevision: number): void {
    for (const stream of this.#streams) {
      for (const watcher of stream.watchers.values()) {
        if (stream.lagging.has(watcher)) continue;
        watcher.nextRevision = Math.max(watcher.nextRevision, previousRevision + 1);
        this.#unlink(watcher);
        stream.lagging.add(watcher);
      }
      stream.wake.wake();
    }
  }

  /** A progress notification for each watcher that asked for them and had no events since the last call. */
  notifyProgress(): void {
    for (const stream of this.#streams) stream.notifyProgress();
  }

  /** Ends the streams whose client asked to be told when there is no leader. */
  leaderLost(): void {
    for (const stream of this.#streams) stream.leaderLost();
  }

  /** Lets every stream look again at whether the member still runs. */
  wakeAll(): void {
    for (const stream of this.#streams) stream.wake.wake();
  }

  #route(event: MvccEvent, revision: number, batches: Map<Watcher, Event[]>): void {
    const key = keyString(event.kv.key);
    const exact = this.#byKey.get(key);
    if (exact) for (const watcher of exact) this.#offer(watcher, event, revision, batches);
    for (const group of this.#groups.values()) {
      if (key < group.start || (group.end !== undefined && key >= group.end)) continue;
      for (const watcher of group.watchers) this.#offer(watcher, event, revision, batches);
    }
  }

  #offer(watcher: Watcher, event: MvccEvent, revision: number, batches: Map<Watcher, Event[]>): void {
    if (revision < watcher.nextRevision) return;
    let events = batches.get(watcher);
    const into = events ?? [];
    this.#collect(watcher, event, revision, into);
    if (events === undefined && into.length > 0) batches.set(watcher, (events = into));
  }

  #collect(watcher: Watcher, event: MvccEvent, revision: number, into: Event[]): void {
    if (event.type === "put" ? watcher.noPut : watcher.noDelete) return;
    let prevKv;
    if (watcher.prevKv && (event.type === "delete" || event.kv.createRevision !== event.kv.modRevision)) {
      const reader = this.#reader();
      // A version that was compacted meanwhile is left out, as etcd does.
      if (revision - 1 >= reader.compactRevision) prevKv = reader.keyAt(event.kv.key, revision - 1);
    }
    into.push({
      type: event.type === "put" ? Event_EventType.PUT : Event_EventType.DELETE,
      kv: wireKeyValue(event.kv),
      prevKv: prevKv && wireKeyValue(prevKv),
    });
  }

  #link(watcher: Watcher): void {
    const key = keyString(watcher.range.key);
    if (watcher.range.rangeEnd.length === 0) {
      const set = this.#byKey.get(key);
      if (set) set.add(watcher);
      else this.#byKey.set(key, new Set([watcher]));
      return;
    }
    const name = groupName(watcher.range);
    const group = this.#groups.get(name);
    if (group) group.watchers.add(watcher);
    else
      this.#groups.set(name, {
        start: key,
        end: isOpenEnd(watcher.range.rangeEnd) ? undefined : keyString(watcher.range.rangeEnd),
        watchers: new Set([watcher]),
      });
  }

  #unlink(watcher: Watcher): void {
    if (watcher.range.rangeEnd.length === 0) {
      const key = keyString(watcher.range.key);
      const set = this.#byKey.get(key);
      set?.delete(watcher);
      if (set?.size === 0) this.#byKey.delete(key);
      return;
    }
    const name = groupName(watcher.range);
    const group = this.#groups.get(name);
    group?.watchers.delete(watcher);
    if (group?.watchers.size === 0) this.#groups.delete(name);
  }
}

function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}

/** One character a byte: comparing such strings compares the bytes. */
function keyString(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function groupName(range: KeyRange): string {
  return `${range.key.length}:${keyString(range.key)}${keyString(range.rangeEnd)}`;
}

export function wireKeyValue(kv: KeyValue): NonNullable<Event["kv"]> {
  return {
    key: kv.key,
    value: kv.value,
    createRevision: BigInt(kv.createRevision),
    modRevision: BigInt(kv.modRevision),
    version: BigInt(kv.version),
    lease: kv.lease,
  };
}
