import { matchKv, showKv } from "../etcd/match.ts";
import { inRange } from "../etcd/order.ts";
import type { EtcdKv, WatchEvent, WatchMessage } from "../models/etcd-types.ts";
import type { Finding } from "../verdict.ts";
import type { WatchStream } from "./sightings.ts";
import { coverageOf, firstRevision } from "./sightings.ts";

/** What is known of a key from the events so far. */
interface Last {
  readonly revision: number;
  /** undefined = deleted. */
  readonly kv: EtcdKv | undefined;
}

/** Reads one watch stream, message by message, and says what a watch of etcd's could not have told. */
export class StreamValidator {
  readonly #watch: WatchStream;
  readonly #findings: Finding[] = [];
  readonly #last = new Map<string, Last>();
  readonly #from: number | undefined;
  /** Last revision told, and whether more of it may come (a fragment). */
  #told = -1;
  #open = false;
  #keysTold = new Set<string>();
  #progress = -1;
  #ended = false;

  /** `before`: the stream that this one resumes. */
  constructor(watch: WatchStream, before: StreamValidator | undefined) {
    this.#watch = watch;
    this.#from = firstRevision(watch);
    if (before !== undefined) this.#resume(before);
  }

  #resume(before: StreamValidator): void {
    const start = this.#watch.input.startRevision ?? 0;
    const reached = coverageOf(before.#watch)?.to;
    // Without a start it begins anew: what came between was not asked for.
    if (start === 0 || reached === undefined) return;
    if (start > reached + 1) {
      this.#find(
        "resume-gap",
        `it resumes watch ${before.#watch.stream} at revision ${start}, but that one had come to ${reached} only; ${reached + 1} is next`,
      );
      return;
    }
    for (const [key, last] of before.#last) if (last.revision < start) this.#last.set(key, last);
  }

  run(): readonly Finding[] {
    for (const { message } of this.#watch.messages) this.#message(message);
    return this.#findings;
  }

  #find(kind: string, message: string): void {
    this.#findings.push({
      kind,
      message: `watch ${this.#watch.stream}: ${message}`,
      operations: [],
      streams: [this.#watch.stream],
    });
  }

  #message(message: WatchMessage): void {
    if (this.#ended) {
      this.#find("message-after-cancel", `it was cancelled, but a message of revision ${message.revision} came after`);
      return;
    }
    this.#compaction(message);
    if (message.canceled === true) this.#ended = true;
    if (message.progress === true && message.events.length === 0) this.#progressTo(message.revision);
    // A revision belongs to one message, unless the one before was a fragment of it.
    const continues = this.#open;
    const toldBefore = this.#told;
    for (const event of message.events) {
      this.#place(event, message, continues, toldBefore);
      this.#content(event);
    }
    if (message.events.length > 0) this.#open = message.fragment === true;
  }

  #compaction(message: WatchMessage): void {
    const compacted = message.compactRevision ?? 0;
    if (compacted <= 0) return;
    if (message.canceled !== true)
      this.#find("dishonest-compaction", `it was told of compaction at ${compacted} without being cancelled`);
    const next = Math.max(this.#told + 1, this.#from ?? 0);
    if (this.#from !== undefined && next >= compacted)
      this.#find(
        "dishonest-compaction",
        `it was cancelled because of compaction at ${compacted}, but it needed revision ${next}, which is not compacted`,
      );
  }

  #progressTo(revision: number): void {
    if (revision < this.#told)
      this.#find("progress-behind", `progress at revision ${revision} came after events of revision ${this.#told}`);
    this.#progress = Math.max(this.#progress, revision);
  }

  /** Ordered, unique, atomic, within what was asked for. */
  #place(event: WatchEvent, message: WatchMessage, continues: boolean, toldBefore: number): void {
    const { key, modRevision } = event.kv;
    const { input } = this.#watch;
    const what = `${event.type} of ${key} at revision ${modRevision}`;
    if (!inRange(key, input.key, input.rangeEnd)) this.#find("unfiltered", `${what} is outside of what is watched`);
    if ((event.type === "put" && input.noPut === true) || (event.type === "delete" && input.noDelete === true))
      this.#find("unfiltered", `${what} came though ${event.type}s are filtered`);
    if (this.#from !== undefined && modRevision < this.#from)
      this.#find("too-early", `${what} came, but the watch starts at revision ${this.#from}`);
    if (modRevision > message.revision)
      this.#find("header-behind", `${what} came under a header of revision ${message.revision}`);
    if (modRevision <= this.#progress)
      this.#find("progress-ahead", `${what} came after progress had been told up to revision ${this.#progress}`);
    if (modRevision < this.#told) {
      this.#find("reordered", `${what} came after events of revision ${this.#told}`);
      return;
    }
    if (modRevision > this.#told) this.#keysTold = new Set();
    else if (this.#keysTold.has(key)) this.#find("duplicate-event", `${what} came twice`);
    else if (modRevision === toldBefore && !continues)
      this.#find(
        "split-revision",
        `${what} came in a message of its own after the rest of its revision; a revision is told at once`,
      );
    this.#keysTold.add(key);
    this.#told = modRevision;
  }

  /** Versions and previous records follow each other without a hole. */
  #content(event: WatchEvent): void {
    const { kv, prevKv } = event;
    const last = this.#last.get(kv.key);
    if (last !== undefined && kv.modRevision <= last.revision) return;
    if (event.type === "put") {
      if ((kv.version === 1) !== (kv.createRevision === kv.modRevision))
        this.#find("impossible-record", `${showKv(kv)} cannot be: version 1 and mod = create go together`);
      this.#follows(kv, last);
    } else if (last !== undefined && last.kv === undefined && this.#watch.input.noPut !== true) {
      this.#find(
        "lost-event",
        `${kv.key} was deleted at revision ${last.revision} and again at ${kv.modRevision}, but no put between was told`,
      );
    }
    if (prevKv !== undefined) this.#previous(event, prevKv, last);
    this.#last.set(kv.key, { revision: kv.modRevision, kv: event.type === "delete" ? undefined : kv });
  }

  #follows(kv: EtcdKv, last: Last | undefined): void {
    if (last === undefined) return;
    const { noDelete } = this.#watch.input;
    if (kv.version === 1) {
      if (last.kv !== undefined && noDelete !== true)
        this.#find(
          "lost-event",
          `${showKv(kv)} was created anew after ${showKv(last.kv)}, but no deletion between was told`,
        );
      return;
    }
    if (last.kv === undefined) {
      this.#find(
        "lost-event",
        `${showKv(kv)} follows the deletion at revision ${last.revision}, but its creation was not told`,
      );
    } else if (
      kv.createRevision !== last.kv.createRevision
        ? noDelete !== true || kv.version !== 1
        : kv.version !== last.kv.version + 1
    ) {
      this.#find("lost-event", `${showKv(kv)} follows ${showKv(last.kv)}: what came between was not told`);
    }
  }

  #previous(event: WatchEvent, prevKv: EtcdKv, last: Last | undefined): void {
    const { kv } = event;
    const { noPut, noDelete } = this.#watch.input;
    const wrong = (why: string): void =>
      this.#find(
        "wrong-prev-kv",
        `${event.type} of ${kv.key} at revision ${kv.modRevision} says that before there was ${showKv(prevKv)}, but ${why}`,
      );
    if (prevKv.key !== kv.key) wrong("that is another key");
    else if (prevKv.modRevision >= kv.modRevision) wrong("that is not before");
    else if (event.type === "put" && kv.version === 1) wrong("the key was created by this event");
    else if (event.type === "put" && (prevKv.version !== kv.version - 1 || prevKv.createRevision !== kv.createRevision))
      wrong(`the new record is ${showKv(kv)}`);
    else if (last?.kv !== undefined && noPut !== true && noDelete !== true && matchKv(last.kv, prevKv) !== undefined)
      wrong(`the watch told ${showKv(last.kv)} last`);
  }
}
