import type { EtcdInput, WatchInput } from "knossos-ts";
import { prefixEnd } from "../../harness/generators/kv.ts";
import type { RecordingSession, Suite, WorkloadContext } from "../../harness/suite.ts";
import { moveOn, pick, sessionAnywhere } from "./client.ts";
import { readUpTo } from "./read-up-to.ts";
import { revisionOf } from "./seen.ts";
import { judgeWatches } from "./whole-history.ts";

const PREFIX = "watch-compacted/";
const ALL = { key: PREFIX, rangeEnd: prefixEnd(PREFIX) } as const;

/**
 * Not tried by default: etcd before 3.4.34 and 3.5.16 forgets the deletions that were made at the compacted revision (its issue 18089),
 * so that each of its trials would end in what is known. `etcd/watch` therefore begins anew behind a compaction; this suite at it.
 */
export const watchCompacted: Suite = {
  name: "etcd/watch-compacted",
  summary:
    "clients compact at a change that they just made, a deletion more often than not, and watch from that very revision on",
  guarantee:
    "A watch from the compacted revision on is served, and tells each change that was made at that revision, deletions too, and each one since.",
  needs: ["watch"],
  clients: 2,
  work,
  finish,
  check: judgeWatches,
  planted: [
    { name: "forgotten-deletion", summary: "compaction removes a deletion that was made at the compacted revision" },
  ],
};

async function work(context: WorkloadContext, worker: number): Promise<void> {
  await using session = sessionAnywhere(context);
  for (let count = 0; !context.signal.aborted; count++) {
    await context.pace();
    if (context.signal.aborted) return;
    const boundary = await compactAtChange(context, session, `${PREFIX}${worker}/`, `${worker}.${count}`);
    if (boundary !== undefined) await followFrom(context, session, boundary);
    await moveOn(context, session);
  }
}

/** Revisions: of the change that was compacted at, and of the last one that is known to have been made since. */
interface Boundary {
  readonly start: number;
  readonly end: number;
}

/** A put, the change to compact at, more puts, the compaction. A step that fails ends it. */
async function compactAtChange(
  context: WorkloadContext,
  session: RecordingSession,
  keys: string,
  value: string,
): Promise<Boundary | undefined> {
  const [key, other] = [`${keys}a`, `${keys}b`];
  const start = await write(session, { f: "put", key, value }).then(
    (put) => put && write(session, drawChange(context, key, other, value)),
  );
  if (start === undefined) return undefined;
  const end = await write(session, { f: "put", key: other, value: `${value}.end` });
  if (end === undefined) return undefined;
  // Physical: answered when what it removes is gone. Somebody else may have compacted beyond it meanwhile: that one is a boundary too.
  await session.invoke({ f: "compact", revision: start, physical: true });
  return { start, end };
}

function drawChange({ random }: WorkloadContext, key: string, other: string, value: string): EtcdInput {
  const draw = random.below(10);
  if (draw < 6) return { f: "delete", key };
  if (draw < 8) return { f: "put", key, value: `${value}.again` };
  const success = [{ f: "delete", key } as const, { f: "put", key: other, value: `${value}.other` } as const];
  return { f: "txn", compare: [], success, failure: [] };
}

/** The revision that it made; undefined if that is not known. */
async function write(session: RecordingSession, input: EtcdInput): Promise<number | undefined> {
  const outcome = await session.invoke(input);
  return outcome.type === "ok" ? revisionOf(outcome.output) : undefined;
}

/** Reads at the compacted revision and watches from it on; where somebody compacted beyond it, from there. */
async function followFrom(
  context: WorkloadContext,
  session: RecordingSession,
  { start, end }: Boundary,
): Promise<void> {
  await session.invoke({ f: "range", ...ALL, revision: start });
  let from: number | undefined = start;
  while (from !== undefined && !context.signal.aborted) {
    const input: WatchInput & { readonly startRevision: number } = {
      f: "watch",
      ...ALL,
      prevKv: true,
      startRevision: from,
    };
    from = await readUpTo(context, session, input, end);
  }
}

/** Once more, with every member watched from the boundary. */
async function finish(context: WorkloadContext): Promise<void> {
  await using writer = context.session(pick(context.random, context.nodes));
  const boundary = await compactAtChange(context, writer, `${PREFIX}end/`, "end");
  if (boundary === undefined) return;
  for (const node of context.nodes) {
    await using session = context.session(node);
    await followFrom(context, session, boundary);
  }
}
