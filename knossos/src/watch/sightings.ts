import type { Changes } from "../etcd/evaluate.ts";
import type { SeenEvent } from "../etcd/facts.ts";
import type { Observer } from "../etcd/explain.ts";
import { matchKv, showKv } from "../etcd/match.ts";
import { inRange } from "../etcd/order.ts";
import type { Sighting } from "../etcd/realtime.ts";
import type { Stream } from "../history.ts";
import type { EtcdKv, WatchInput, WatchMessage } from "../models/etcd-types.ts";

export interface WatchStream extends Omit<Stream, "input" | "messages"> {
  readonly input: WatchInput;
  readonly messages: readonly { readonly time: number; readonly message: WatchMessage }[];
}

/** The revisions of which a watch has told everything that it was asked for. */
export interface Coverage {
  readonly stream: number;
  readonly input: WatchInput;
  /** Inclusive; to < from: nothing. */
  readonly from: number;
  readonly to: number;
}

export function watchesOf(streams: readonly Stream[]): readonly WatchStream[] {
  return streams.filter(
    (stream) => (stream.input as { readonly f?: unknown } | null)?.f === "watch",
  ) as unknown as readonly WatchStream[];
}

/** First revision that the watch tells of; undefined if it was never created. Without a start it is the one after the creation's header. */
export function firstRevision(stream: WatchStream): number | undefined {
  const start = stream.input.startRevision ?? 0;
  if (start > 0) return start;
  const created = stream.messages.find(({ message }) => message.created === true);
  return created === undefined ? undefined : created.message.revision + 1;
}

/**
 * How far the watch came. An event says that all before its revision were told, and its own too unless a fragment cuts it;
 * a progress message says it of its header's revision. The header of a message with events does not: it is the store's
 * revision, which a watch that catches up has not reached.
 */
export function coverageOf(stream: WatchStream): Coverage | undefined {
  const from = firstRevision(stream);
  if (from === undefined) return undefined;
  let to = from - 1;
  for (const { message } of stream.messages) {
    const last = message.events.at(-1)?.kv.modRevision;
    if (last !== undefined) to = Math.max(to, message.fragment === true ? last - 1 : last);
    else if (message.progress === true) to = Math.max(to, message.revision);
  }
  return { stream: stream.stream, input: stream.input, from, to };
}

/** All events, each (revision, key) once. */
export function eventsOf(streams: readonly WatchStream[]): SeenEvent[] {
  const events = new Map<string, SeenEvent>();
  for (const stream of streams) {
    for (const { message } of stream.messages) {
      for (const event of message.events) {
        const { key, modRevision } = event.kv;
        const id = `${modRevision} ${key}`;
        const known = events.get(id);
        if (known !== undefined && (known.prevKv !== undefined || event.prevKv === undefined)) continue;
        events.set(id, {
          revision: modRevision,
          key,
          kv: event.type === "delete" ? undefined : event.kv,
          ...(event.prevKv === undefined ? {} : { prevKv: event.prevKv }),
          stream: stream.stream,
        });
      }
    }
  }
  return [...events.values()].sort((a, b) => a.revision - b.revision);
}

/** When each revision was first seen by a watcher. */
export function sightingsOf(streams: readonly WatchStream[]): Sighting[] {
  const first = new Map<number, Sighting>();
  for (const stream of streams) {
    for (const { time, message } of stream.messages) {
      for (const event of message.events) {
        const revision = event.kv.modRevision;
        const known = first.get(revision);
        if (known === undefined || time < known.time) first.set(revision, { revision, time, stream: stream.stream });
      }
    }
  }
  return [...first.values()];
}

/** Holds each revision of an order against what the watches told of it. */
export function observerOf(streams: readonly WatchStream[], events: readonly SeenEvent[]): Observer {
  const coverages = streams
    .map(coverageOf)
    .filter((coverage) => coverage !== undefined && coverage.to >= coverage.from) as readonly Coverage[];
  const byRevision = new Map<number, Map<string, SeenEvent>>();
  for (const event of events) {
    const keys = byRevision.get(event.revision);
    if (keys === undefined) byRevision.set(event.revision, new Map([[event.key, event]]));
    else keys.set(event.key, event);
  }
  return {
    check(revision, changes, before) {
      const seen = byRevision.get(revision);
      for (const event of seen?.values() ?? []) {
        const message = contradicts(event, changes, before);
        if (message !== undefined) return { message, streams: [event.stream], keys: [event.key, ...changes.keys()] };
      }
      for (const [key, kv] of changes) {
        if (seen?.has(key) === true) continue;
        const coverage = coverages.find((c) => covers(c, key, revision, kv));
        if (coverage === undefined) continue;
        const what = kv === undefined ? `${key} was deleted` : `${key} was put`;
        return {
          message: `${what} at revision ${revision}, but watch ${coverage.stream}, which covers ${key} from revision ${coverage.from} to ${coverage.to}, never told it`,
          streams: [coverage.stream],
          keys: [key],
        };
      }
      return undefined;
    },
  };
}

function contradicts(
  event: SeenEvent,
  changes: Changes,
  before: (key: string) => EtcdKv | undefined,
): string | undefined {
  const { key, revision, stream } = event;
  if (!changes.has(key))
    return `watch ${stream} told that ${key} changed at revision ${revision}, but what made that revision did not touch ${key}`;
  const kv = changes.get(key);
  if (event.kv === undefined ? kv !== undefined : kv === undefined || matchKv(kv, event.kv) !== undefined) {
    return `watch ${stream} told ${event.kv === undefined ? `that ${key} was deleted` : showKv(event.kv)} at revision ${revision}, but it became ${showKv(kv)}`;
  }
  const previous = before(key);
  if (event.prevKv !== undefined && (previous === undefined || matchKv(previous, event.prevKv) !== undefined)) {
    return `watch ${stream} told that before revision ${revision} there was ${showKv(event.prevKv)}, but there was ${showKv(previous)}`;
  }
  return undefined;
}

function covers(coverage: Coverage, key: string, revision: number, kv: EtcdKv | undefined): boolean {
  if (revision < coverage.from || revision > coverage.to) return false;
  if (kv === undefined ? coverage.input.noDelete === true : coverage.input.noPut === true) return false;
  return inRange(key, coverage.input.key, coverage.input.rangeEnd);
}
