import { matchKv, showKv } from "../etcd/match.ts";
import { inRange } from "../etcd/order.ts";
import type { SeenEvent } from "../etcd/facts.ts";
import type { HistoryEvent, Stream } from "../history.ts";
import type { Finding, Verdict } from "../verdict.ts";
import type { WatchStream } from "./sightings.ts";
import { coverageOf, eventsOf, watchesOf } from "./sightings.ts";
import { StreamValidator } from "./stream.ts";

/** More findings than a reader reads are counted, not listed. */
const MOST_FINDINGS = 20;

/**
 * Judges watches by themselves: each stream (ordered, unique, atomic, filtered, resumable, prev_kv, progress, compaction) and
 * all of them against each other (what one told within another's coverage, the other must have told too).
 */
export function checkWatches(
  streams: readonly Stream[],
  environment: readonly Extract<HistoryEvent, { type: "env" }>[] = [],
): Verdict {
  const watches = watchesOf(streams);
  const findings: Finding[] = [];
  const validators = new Map<number, StreamValidator>();
  // A resumed stream goes on with what its predecessor knew.
  for (const watch of [...watches].sort((a, b) => a.opened - b.opened || a.stream - b.stream)) {
    const before = watch.input.resumes === undefined ? undefined : validators.get(watch.input.resumes);
    const validator = new StreamValidator(watch, before);
    validators.set(watch.stream, validator);
    findings.push(...validator.run());
  }
  findings.push(...checkAgreement(watches));
  const events = eventsOf(watches);
  const messages = watches.reduce((sum, watch) => sum + watch.messages.length, 0);
  const stats = {
    watches: watches.length,
    messages,
    events: events.length,
    environment: environment.length,
    findings: findings.length,
  };
  if (findings.length > 0) return { valid: false, checker: "watch", findings: findings.slice(0, MOST_FINDINGS), stats };
  if (messages === 0)
    return {
      valid: "unknown",
      checker: "watch",
      findings: [],
      why: "no watch was answered, so there is nothing to judge",
      stats,
    };
  return { valid: true, checker: "watch", findings: [], stats };
}

interface Told {
  readonly key: string;
  readonly revision: number;
}

function* checkAgreement(watches: readonly WatchStream[]): Generator<Finding> {
  const union = new Map<string, { readonly event: SeenEvent; readonly stream: number }>();
  for (const watch of watches) {
    for (const event of eventsOf([watch])) {
      const id = `${event.revision} ${event.key}`;
      const known = union.get(id);
      if (known === undefined) union.set(id, { event, stream: watch.stream });
      else if (differ(known.event, event)) {
        yield {
          kind: "disagreeing-events",
          message: `watch ${known.stream} told ${showEvent(known.event)}, watch ${watch.stream} told ${showEvent(event)}`,
          operations: [],
          streams: [known.stream, watch.stream],
        };
      }
    }
  }
  const events = [...union.values()].map(({ event }) => event).sort((a, b) => a.revision - b.revision);
  const revisions = events.map((event) => event.revision);
  for (const watch of watches) yield* missing(watch, events, revisions);
}

function* missing(watch: WatchStream, events: readonly SeenEvent[], revisions: readonly number[]): Generator<Finding> {
  const coverage = coverageOf(watch);
  if (coverage === undefined || coverage.to < coverage.from) return;
  const told = new Set<string>();
  for (const { message } of watch.messages)
    for (const { kv } of message.events) told.add(idOf({ key: kv.key, revision: kv.modRevision }));
  for (let i = firstIndex(revisions, coverage.from); i < events.length; i++) {
    const event = events[i] as SeenEvent;
    if (event.revision > coverage.to) return;
    if (event.kv === undefined ? watch.input.noDelete === true : watch.input.noPut === true) continue;
    if (!inRange(event.key, watch.input.key, watch.input.rangeEnd) || told.has(idOf(event))) continue;
    yield {
      kind: "lost-event",
      message: `watch ${watch.stream}, which covers revisions ${coverage.from} to ${coverage.to}, never told ${showEvent(event)}, which watch ${event.stream} told`,
      operations: [],
      streams: [watch.stream, event.stream],
    };
  }
}

function idOf(told: Told): string {
  return `${told.revision} ${told.key}`;
}

function firstIndex(sorted: readonly number[], least: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

function differ(a: SeenEvent, b: SeenEvent): boolean {
  if ((a.kv === undefined) !== (b.kv === undefined)) return true;
  if (a.kv !== undefined && b.kv !== undefined && matchKv(a.kv, b.kv) !== undefined) return true;
  return a.prevKv !== undefined && b.prevKv !== undefined && matchKv(a.prevKv, b.prevKv) !== undefined;
}

function showEvent(event: SeenEvent): string {
  return event.kv === undefined
    ? `the deletion of ${event.key} at revision ${event.revision}`
    : `the put of ${showKv(event.kv)}`;
}
