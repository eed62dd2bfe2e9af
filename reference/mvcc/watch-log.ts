import { assert } from "../../seams/assert.ts";
import type { Backend } from "./backend.ts";
import { keyText } from "./key-text.ts";
import { decodeKeyValue, keyOfRecord } from "./key-value.ts";
import { spanHas, type Span } from "./range-end.ts";
import { isTombstone, mainOf, revisionKey } from "./revision.ts";
import type { KeyValue, MvccEvent, Revision, RevisionEvents } from "./types.ts";

export interface WatchLogBounds {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

export const DEFAULT_TAIL: WatchLogBounds = { maxEvents: 10_000, maxBytes: 16 * 1024 * 1024 };

/** Records of the backend looked at for one answer, however few of them match. */
const SCAN_LIMIT = 10_000;

const NO_BYTES = new Uint8Array(0);

/** A deletion as etcd's watchers see it: only the key and the revision. */
export function deletion(key: Uint8Array, main: number): MvccEvent {
  return {
    type: "delete",
    kv: { key, value: NO_BYTES, createRevision: 0 as Revision, modRevision: main as Revision, version: 0, lease: 0n },
  };
}

/**
 * What happened, revision by revision. The newest revisions are in memory, so a watcher that keeps up costs no read,
 * and so does a read of what was just written; older ones come from the backend.
 */
export class WatchLog {
  readonly #bounds: WatchLogBounds;
  /** Consecutive revisions; `#tail[#head]` is the oldest still remembered. */
  #tail: (RevisionEvents | undefined)[] = [];
  #head = 0;
  #events = 0;
  #bytes = 0;

  constructor(bounds: WatchLogBounds = DEFAULT_TAIL) {
    this.#bounds = bounds;
  }

  /** Appends the next revision. */
  append(revision: RevisionEvents): void {
    const last = this.#tail.at(-1);
    assert(last === undefined || revision.revision === last.revision + 1, "revisions follow one another");
    this.#tail.push(revision);
    this.#events += revision.events.length;
    this.#bytes += sizeOf(revision);
  }

  /** Forgets what is beyond the bounds. Only once it is committed: until then reads of it are answered from here alone. */
  trim(): void {
    while (
      (this.#events > this.#bounds.maxEvents || this.#bytes > this.#bounds.maxBytes) &&
      this.#head < this.#tail.length
    ) {
      const oldest = this.#tail[this.#head] as RevisionEvents;
      this.#events -= oldest.events.length;
      this.#bytes -= sizeOf(oldest);
      this.#tail[this.#head++] = undefined;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#tail.length) {
      this.#tail = this.#tail.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The change itself if it is recent; a deletion has no value and is not found. */
  recent(main: number, sub: number): KeyValue | undefined {
    const event = this.#at(main)?.events[sub];
    return event?.type === "put" ? event.kv : undefined;
  }

  #at(main: number): RevisionEvents | undefined {
    const oldest = this.#tail[this.#head];
    return oldest === undefined || main < oldest.revision ? undefined : this.#tail[this.#head + main - oldest.revision];
  }

  /** See `MvccReader.eventsBetween`. */
  between(
    backend: Backend,
    span: Span,
    from: number,
    to: number,
    limit: number,
  ): { revisions: RevisionEvents[]; next: Revision } {
    const oldest = this.#tail[this.#head];
    return oldest !== undefined && from >= oldest.revision
      ? this.#fromTail(span, from, to, limit)
      : fromBackend(backend, span, from, to, limit);
  }

  #fromTail(span: Span, from: number, to: number, limit: number): { revisions: RevisionEvents[]; next: Revision } {
    const revisions: RevisionEvents[] = [];
    let matched = 0;
    let main = from;
    for (; main <= to && matched < limit; main++) {
      const all = this.#at(main);
      if (all === undefined) break;
      const events = all.events.filter((event) => spanHas(span, keyText(event.kv.key)));
      if (events.length > 0)
        revisions.push(events.length === all.events.length ? all : { revision: all.revision, events });
      matched += events.length;
    }
    return { revisions, next: main as Revision };
  }
}

function fromBackend(
  backend: Backend,
  span: Span,
  from: number,
  to: number,
  limit: number,
): { revisions: RevisionEvents[]; next: Revision } {
  const revisions: RevisionEvents[] = [];
  let current: { revision: Revision; events: MvccEvent[] } | undefined;
  let matched = 0;
  let seen = 0;
  let lastMain = -1;
  for (const [key, record] of backend.range("key", revisionKey(from, 0), revisionKey(to + 1, 0))) {
    const main = mainOf(key);
    // A revision is given whole: stop only between two of them.
    if (main !== lastMain && (matched >= limit || seen >= SCAN_LIMIT)) return { revisions, next: main as Revision };
    lastMain = main;
    seen++;
    const bytes = keyOfRecord(record);
    if (!spanHas(span, keyText(bytes))) continue;
    if (current === undefined || current.revision !== main) {
      current = { revision: main as Revision, events: [] };
      revisions.push(current);
    }
    current.events.push(isTombstone(key) ? deletion(bytes, main) : { type: "put", kv: decodeKeyValue(record) });
    matched++;
  }
  return { revisions, next: (to + 1) as Revision };
}

function sizeOf(revision: RevisionEvents): number {
  let bytes = 0;
  for (const { kv } of revision.events) bytes += kv.key.length + kv.value.length + 100;
  return bytes;
}
