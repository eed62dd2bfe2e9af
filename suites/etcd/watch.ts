import type { WatchInput, WatchMessage } from "knossos-ts";
import { prefixEnd } from "../../harness/generators/kv.ts";
import type { RecordingSession, Suite, WorkloadContext } from "../../harness/suite.ts";
import { moveOn, pick, sessionAnywhere } from "./client.ts";
import { readUpTo } from "./read-up-to.ts";
import { revisionOf } from "./seen.ts";
import { judgeWatches } from "./whole-history.ts";

const PREFIX = "watch/";
const KEYS = 4;
const WRITERS = 1;
/** What the watchers look at. Each is a range of its own, with filters of its own. */
const VIEWS: readonly WatchInput[] = [
  { f: "watch", key: PREFIX, rangeEnd: prefixEnd(PREFIX), prevKv: true },
  { f: "watch", key: PREFIX, rangeEnd: prefixEnd(PREFIX), noDelete: true, progressNotify: true },
  { f: "watch", key: `${PREFIX}0`, prevKv: true },
];
/** A watcher stays on a stream for up to this long before it leaves by itself and resumes on another member. */
const LONGEST_STAY_MS = 4_000;

export const watch: Suite = {
  name: "etcd/watch",
  summary:
    "watchers with previous values, filters and start revisions break off and resume on other members while writers write",
  guarantee:
    "Every watcher gets each event of its range once, in order, whole revisions at a time, with none lost over resumes, and all watchers agree with the operations.",
  needs: ["watch"],
  clients: WRITERS + VIEWS.length,
  work: (context, worker) => (worker < WRITERS ? write(context, worker) : follow(context, worker - WRITERS)),
  finish,
  check: judgeWatches,
  planted: [
    { name: "swallowed-event", summary: "one event of a watch is never sent" },
    { name: "repeated-event", summary: "an event is sent again after a resume" },
    { name: "wrong-previous", summary: "prev_kv holds a value that was not the one before" },
  ],
};

/** Puts, deletes and two-key transactions, so that one revision can hold several events. */
async function write(context: WorkloadContext, worker: number): Promise<void> {
  const { random, signal } = context;
  await using session = sessionAnywhere(context);
  for (let count = 0; !signal.aborted; count++) {
    const { intendedNs } = await context.pace();
    if (signal.aborted) return;
    const at = random.below(KEYS);
    const key = `${PREFIX}${at}`;
    const other = `${PREFIX}${(at + 1 + random.below(KEYS - 1)) % KEYS}`;
    const value = `${worker}.${count}`;
    const draw = random.below(10);
    const outcome = await session.invoke(
      draw < 6
        ? { f: "put", key, value }
        : draw < 8
          ? { f: "delete", key }
          : {
              f: "txn",
              compare: [],
              success: [
                { f: "put", key, value },
                { f: "delete", key: other },
              ],
              failure: [],
            },
      { intendedNs },
    );
    if (outcome.type !== "ok") await moveOn(context, session);
  }
}

/** One watcher: it leaves and breaks, and takes up where it was on another member. */
async function follow(context: WorkloadContext, view: number): Promise<void> {
  const { random, signal } = context;
  const base = VIEWS[view % VIEWS.length] as WatchInput;
  await using session = sessionAnywhere(context);
  let next: Resume = {};
  while (!signal.aborted) {
    const stay = new AbortController();
    const timer = new AbortController();
    const until = AbortSignal.any([signal, stay.signal]);
    context.clock.sleep(LONGEST_STAY_MS * (0.25 + 0.75 * random.float()), timer.signal).then(
      () => stay.abort(),
      () => undefined,
    );
    next = await followOnce(session, base, next, until);
    timer.abort();
    await moveOn(context, session);
  }
}

/** Where a watcher goes on: the stream it continues and the revision it wants next. */
interface Resume {
  readonly resumes?: number;
  readonly startRevision?: number;
}

async function followOnce(
  session: RecordingSession,
  base: WatchInput,
  from: Resume,
  signal: AbortSignal,
): Promise<Resume> {
  const { stream, messages } = session.watch({ ...base, ...from }, signal);
  let next = from.startRevision;
  let parts = 0;
  for await (const message of messages) {
    if (message.compactRevision !== undefined && message.compactRevision > 0) {
      // The past it asked for is gone: it begins again behind the compaction, as a watcher with a gap, not a resume.
      return { startRevision: afterCompaction(message.compactRevision) };
    }
    parts = message.fragment === true ? parts + 1 : 0;
    if (parts === 0) next = nextRevision(next, message);
  }
  return next === undefined ? {} : { resumes: stream, startRevision: next };
}

/**
 * Where a watcher begins whose past was compacted: behind it. The compacted revision itself may be asked for, but etcd before 3.4.34
 * and 3.5.16 has forgotten the deletions that were made at it: `etcd/watch-compacted` goes there.
 */
function afterCompaction(compactRevision: number): number {
  return compactRevision + 1;
}

/** The revision after everything this message vouches for. */
function nextRevision(before: number | undefined, message: WatchMessage): number | undefined {
  const last = message.events.at(-1)?.kv.modRevision;
  if (last !== undefined) return last + 1;
  // A watch from "now" begins after the revision of its creation; a progress answer vouches for what it names.
  if (message.created === true && before === undefined) return message.revision + 1;
  if (message.progress === true) return Math.max(before ?? 0, message.revision + 1);
  return before;
}

/** Through every member, one watch over everything that is left of the past, up to a revision that is known to be there. */
async function finish(context: WorkloadContext): Promise<void> {
  await using writer = context.session(pick(context.random, context.nodes));
  const mark = await writer.invoke({ f: "put", key: `${PREFIX}end`, value: "end" }, { timeoutMs: 5_000 });
  if (mark.type !== "ok") return;
  const end = revisionOf(mark.output);
  for (const node of context.nodes) {
    await using session = context.session(node);
    let startRevision = 1;
    for (;;) {
      const all = { f: "watch", key: PREFIX, rangeEnd: prefixEnd(PREFIX), prevKv: true, startRevision } as const;
      const compacted = await readUpTo(context, session, all, end);
      if (compacted === undefined) break;
      startRevision = afterCompaction(compacted);
    }
  }
}
