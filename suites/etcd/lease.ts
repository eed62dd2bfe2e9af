import { prefixEnd } from "../../harness/generators/kv.ts";
import type { RecordingSession, Suite, WorkloadContext } from "../../harness/suite.ts";
import { moveOn, pause, sessionAnywhere } from "./client.ts";
import { judgeLeases } from "./whole-history.ts";

const PREFIX = "lease/";
/** etcd raises what is below its minimum, which follows the election timeout; the answer's TTL is what counts. */
const ASKED_TTL_SECONDS = 2;
/** How long an expired lease is watched on after its TTL before the next one begins. */
const WATCH_ON_MS = 6_000;

export const lease: Suite = {
  name: "etcd/lease",
  summary:
    "leases are granted, kept alive, revoked and left to expire, with keys attached, while others read those keys",
  guarantee:
    "A lease and its keys live at least until the TTL after the last acknowledged keepalive, and are gone within the TTL, two election timeouts and 2 s once a majority is up.",
  needs: ["lease"],
  clients: 2,
  work,
  finish,
  check: judgeLeases,
  planted: [
    { name: "early-expiry", summary: "a lease expires before its TTL is over" },
    { name: "immortal-lease", summary: "a lease never expires" },
    { name: "orphaned-key", summary: "a key survives the revocation of its lease" },
  ],
};

type Life = "expire" | "keep-alive" | "revoke";
const LIVES: readonly Life[] = ["expire", "keep-alive", "revoke", "expire"];

async function work(context: WorkloadContext, worker: number): Promise<void> {
  const { signal } = context;
  await using session = sessionAnywhere(context);
  for (let count = worker; !signal.aborted; count++) {
    await context.pace();
    if (signal.aborted) return;
    await liveOneLease(context, session, `${PREFIX}${worker}/${count}/`, LIVES[count % LIVES.length] as Life);
  }
}

/** One lease from grant to end. A step that fails ends it: what is left of it is the server's to expire. */
async function liveOneLease(
  context: WorkloadContext,
  session: RecordingSession,
  keys: string,
  life: Life,
): Promise<void> {
  const { clock, random } = context;
  // A lease id is any positive int64; drawn, so that ids beyond 2^53 are met.
  const id = String((random.uint64() >> 1n) | 1n);
  const granted = await session.invoke({ f: "lease-grant", id, ttlSeconds: ASKED_TTL_SECONDS });
  if (granted.type !== "ok" || granted.output.f !== "lease-grant") return moveOn(context, session);
  const ttlMs = granted.output.ttlSeconds * 1000;
  for (let i = 0; i < 2; i++) {
    const put = await session.invoke({ f: "put", key: `${keys}${i}`, value: id, lease: id });
    if (put.type !== "ok") await moveOn(context, session);
  }
  if (life === "keep-alive") await keepAlive(context, session, id, ttlMs);
  if (life === "revoke") {
    await pause(context, ttlMs * 0.3 * random.float());
    const revoked = await session.invoke({ f: "lease-revoke", id });
    if (revoked.type !== "ok") await moveOn(context, session);
  }
  await readUntilGone(context, session, keys, id, clock.now() + ttlMs + WATCH_ON_MS);
}

/** Keeps it alive past its first TTL, so that an expiry by the first deadline would show. */
async function keepAlive(
  context: WorkloadContext,
  session: RecordingSession,
  id: string,
  ttlMs: number,
): Promise<void> {
  const { clock, signal, random } = context;
  const end = clock.now() + ttlMs * (1.2 + random.float());
  while (clock.now() < end && !signal.aborted) {
    const kept = await session.invoke({ f: "lease-keepalive", id }, { timeoutMs: 1_000 });
    if (kept.type !== "ok") await moveOn(context, session);
    else if (kept.output.f === "lease-keepalive" && kept.output.ttlSeconds <= 0) return;
    await pause(context, ttlMs * (0.15 + 0.15 * random.float()));
  }
}

/** Reads the keys and the lease, from any member, until both are gone or `end` has come. */
async function readUntilGone(
  context: WorkloadContext,
  session: RecordingSession,
  keys: string,
  id: string,
  end: number,
): Promise<void> {
  const { clock, signal, random } = context;
  while (clock.now() < end && !signal.aborted) {
    const read = await session.invoke({ f: "range", key: keys, rangeEnd: prefixEnd(keys) });
    const left = await session.invoke({ f: "lease-time-to-live", id, keys: true });
    const keysGone = read.type === "ok" && read.output.f === "range" && read.output.kvs.length === 0;
    const leaseGone = left.type === "ok" && left.output.f === "lease-time-to-live" && left.output.ttlSeconds < 0;
    if (keysGone && leaseGone) return;
    if (read.type !== "ok" || left.type !== "ok") await moveOn(context, session);
    await pause(context, 100 + random.below(300));
  }
}

/** Waits until no lease of the suite can be alive any more, then reads what should be empty. */
async function finish(context: WorkloadContext): Promise<void> {
  const { clock } = context;
  await using session = sessionAnywhere(context);
  const end = clock.now() + WATCH_ON_MS + ASKED_TTL_SECONDS * 1000;
  for (;;) {
    const read = await session.invoke({ f: "range", key: PREFIX, rangeEnd: prefixEnd(PREFIX) }, { timeoutMs: 5_000 });
    const gone = read.type === "ok" && read.output.f === "range" && read.output.kvs.length === 0;
    if (gone || clock.now() >= end || context.signal.aborted) return;
    await pause(context, 250);
  }
}
