import { drawKvOperation, prefixEnd } from "../../harness/generators/kv.ts";
import type { Suite, WorkloadContext } from "../../harness/suite.ts";
import { moveOn, sessionAnywhere } from "./client.ts";
import { Seen } from "./seen.ts";
import { judgeOperations } from "./whole-history.ts";

const PREFIX = "kv/";

/** Clients stay on a member for a while: serializable reads are only worth judging on a connection that lasts. */
const MOVE_ONE_IN = 50;

export const kv: Suite = {
  name: "etcd/kv",
  summary:
    "puts, deletes, ranges of every kind, compare-and-swap and multi-key transactions, now and then a compaction",
  guarantee:
    "Every operation took effect at one instant between its call and its answer, at the revision its answer names; serializable reads show a true past state.",
  needs: [],
  clients: 4,
  work,
  finish,
  check: judgeOperations,
  planted: [
    { name: "dropped-put", summary: "a put is answered OK and never applied" },
    { name: "stale-read", summary: "a linearizable range is answered from an older revision" },
    { name: "torn-txn", summary: "only one of a transaction's two writes takes effect" },
  ],
};

async function work(context: WorkloadContext, worker: number): Promise<void> {
  const { random, signal, clock } = context;
  const begun = clock.now();
  const seen = new Seen();
  await using session = sessionAnywhere(context);
  for (let count = 0; !signal.aborted; count++) {
    const { intendedNs } = await context.pace();
    if (signal.aborted) return;
    const input = drawKvOperation({
      random,
      prefix: PREFIX,
      elapsedMs: clock.now() - begun,
      unique: `${worker}.${count}`,
      seenRevision: seen.revision,
      seenModRevision: (key) => seen.modRevision(key),
    });
    const outcome = await session.invoke(input, { intendedNs });
    if (outcome.type === "ok") seen.note(outcome.output, input.f === "range" ? input.key : undefined);
    else if (!isRefusal(outcome.code)) await moveOn(context, session);
    if (random.below(MOVE_ONE_IN) === 0) await moveOn(context, session);
  }
}

/** The member answered, and said no: a read below the compaction, for one. */
function isRefusal(code: string): boolean {
  return code === "OUT_OF_RANGE" || code === "INVALID_ARGUMENT";
}

/** The whole of the suite's keys, read through every member: what was acknowledged must be there. */
async function finish(context: WorkloadContext): Promise<void> {
  for (const node of context.nodes) {
    await using session = context.session(node);
    await session.invoke({ f: "range", key: PREFIX, rangeEnd: prefixEnd(PREFIX) }, { timeoutMs: 5_000 });
    await session.invoke(
      { f: "range", key: PREFIX, rangeEnd: prefixEnd(PREFIX), serializable: true },
      { timeoutMs: 5_000 },
    );
  }
}
