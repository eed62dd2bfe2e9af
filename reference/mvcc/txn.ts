import type { BackendWrite } from "./backend.ts";
import { keyBytes, keyText } from "./key-text.ts";
import { encodeKeyValue, encodeTombstone } from "./key-value.ts";
import type { Span } from "./range-end.ts";
import { revisionKey } from "./revision.ts";
import type { MvccStore, RangeFailure, RangeOptions, RangeResult } from "./store.ts";
import type { KeyValue, LeaseId, MvccEvent, Revision, RevisionEvents } from "./types.ts";
import { deletion } from "./watch-log.ts";

/**
 * One revision in the making. Each change gets the next sub-revision and is seen by what follows in the same transaction;
 * a transaction that changed nothing makes no revision.
 */
export class WriteTxn {
  readonly #store: MvccStore;
  readonly #batch: BackendWrite[];
  readonly #main: number;
  readonly #events: MvccEvent[] = [];

  constructor(store: MvccStore, batch: BackendWrite[]) {
    this.#store = store;
    this.#batch = batch;
    this.#main = store.currentRevision + 1;
  }

  /** The revision that reads inside the transaction see, and that its responses name. */
  get readRevision(): Revision {
    return (this.#events.length > 0 ? this.#main : this.#main - 1) as Revision;
  }

  /** A put of this transaction, by revision. */
  change(main: number, sub: number): KeyValue | undefined {
    if (main !== this.#main) return undefined;
    const event = this.#events[sub];
    return event?.type === "put" ? event.kv : undefined;
  }

  range(span: Span, options: RangeOptions): RangeResult | RangeFailure {
    return this.#store.range(span, options);
  }

  /** The lease must exist (0n: none). */
  put(key: Uint8Array, value: Uint8Array, lease: LeaseId): Revision {
    const text = keyText(key);
    const sub = this.#events.length;
    const meta = this.#store.index.put(text, this.#main, sub);
    const kv: KeyValue = {
      key,
      value,
      createRevision: meta.created as Revision,
      modRevision: this.#main as Revision,
      version: meta.version,
      lease,
    };
    this.#batch.push({ op: "put", bucket: "key", key: revisionKey(this.#main, sub), value: encodeKeyValue(kv) });
    this.#events.push({ type: "put", kv });
    this.#store.leases.attach(text, lease);
    return this.#main as Revision;
  }

  /** Deletes every key of the span that exists; returns how many. */
  deleteRange(span: Span): number {
    const keys: string[] = [];
    this.#store.index.visit(span, this.readRevision, (key) => {
      keys.push(key);
      return true;
    });
    for (const key of keys) this.#delete(key);
    return keys.length;
  }

  #delete(text: string): void {
    const sub = this.#events.length;
    const key = keyBytes(text);
    this.#store.index.tombstone(text, this.#main, sub);
    this.#batch.push({
      op: "put",
      bucket: "key",
      key: revisionKey(this.#main, sub, true),
      value: encodeTombstone(key),
    });
    this.#events.push(deletion(key, this.#main));
    this.#store.leases.attach(text, 0n);
  }

  /** Ends it; returns the revision it made, if it made one. */
  end(): RevisionEvents | undefined {
    const events: RevisionEvents | undefined =
      this.#events.length === 0 ? undefined : { revision: this.#main as Revision, events: this.#events };
    this.#store.ended(events);
    return events;
  }
}
