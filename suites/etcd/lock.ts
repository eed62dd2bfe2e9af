import type { RecordingSession, Suite, WorkloadContext } from "../../harness/suite.ts";
import { moveOn, pause, sessionAnywhere } from "./client.ts";
import { revisionOf } from "./seen.ts";
import { judgeLocks } from "./whole-history.ts";

const LOCK = "lock/holder";
const RESOURCE = "lock/resource";
const TTL_SECONDS = 2;
const MOST_WRITES = 6;

export const lock: Suite = {
  name: "etcd/lock",
  summary:
    "clients take a lock by the lease and transaction recipe and write a resource that is fenced by the lock's token",
  guarantee:
    "No write of the fenced resource with an older token takes effect after one with a newer token; no token is handed out twice.",
  needs: ["lease"],
  clients: 3,
  work,
  finish,
  check: judgeLocks,
  planted: [
    { name: "ignored-fence", summary: "a transaction's compare on the lock's create revision is answered true unread" },
  ],
};

/** The recipe that `knossos/README.md` calls the lock convention: the token is the lock key's create revision. */
async function work(context: WorkloadContext, worker: number): Promise<void> {
  const { signal, random } = context;
  await using session = sessionAnywhere(context);
  for (let count = 0; !signal.aborted; count++) {
    await context.pace();
    if (signal.aborted) return;
    const id = String((random.uint64() >> 1n) | 1n);
    const granted = await session.invoke({ f: "lease-grant", id, ttlSeconds: TTL_SECONDS });
    if (granted.type !== "ok") {
      await moveOn(context, session);
      continue;
    }
    const token = await acquire(context, session, `${worker}.${count}`, id);
    if (token !== undefined) await writeFenced(context, session, token, `${worker}.${count}`);
    // One in four holders vanishes without a release: the lease is what frees the lock then.
    if (token !== undefined && random.below(4) === 0) continue;
    const released = await session.invoke({ f: "lease-revoke", id });
    if (released.type !== "ok") await moveOn(context, session);
  }
}

/** Tries for a while; undefined if somebody else held the lock all along. */
async function acquire(
  context: WorkloadContext,
  session: RecordingSession,
  holder: string,
  lease: string,
): Promise<number | undefined> {
  for (let attempt = 0; attempt < 10 && !context.signal.aborted; attempt++) {
    const answer = await session.invoke({
      f: "txn",
      compare: [{ key: LOCK, target: "create", result: "=", operand: 0 }],
      success: [{ f: "put", key: LOCK, value: holder, lease }],
      failure: [{ f: "range", key: LOCK }],
    });
    if (answer.type !== "ok") {
      await moveOn(context, session);
      return undefined;
    }
    if (answer.output.f === "txn" && answer.output.succeeded) return revisionOf(answer.output);
    await pause(context, 50 + context.random.below(150));
  }
  return undefined;
}

/** Writes on, sometimes slower than its lease lives: the fence must hold then. */
async function writeFenced(
  context: WorkloadContext,
  session: RecordingSession,
  token: number,
  holder: string,
): Promise<void> {
  const { random, signal } = context;
  const slow = random.below(5) === 0;
  const writes = 1 + random.below(MOST_WRITES);
  for (let i = 0; i < writes && !signal.aborted; i++) {
    const answer = await session.invoke({
      f: "txn",
      compare: [{ key: LOCK, target: "create", result: "=", operand: token }],
      success: [{ f: "put", key: RESOURCE, value: `${token}:${holder}.${i}` }],
      failure: [{ f: "range", key: RESOURCE }],
    });
    if (answer.type !== "ok") await moveOn(context, session);
    else if (answer.output.f === "txn" && !answer.output.succeeded) return;
    await pause(context, slow ? TTL_SECONDS * 800 : random.below(40));
  }
}

async function finish(context: WorkloadContext): Promise<void> {
  await using session = sessionAnywhere(context);
  await session.invoke({ f: "range", key: RESOURCE }, { timeoutMs: 5_000 });
}
