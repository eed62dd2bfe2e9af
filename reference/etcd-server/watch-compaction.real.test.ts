import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { WatchResponse } from "../../api/etcd/gen/rpc.ts";
import { kv, maintenance, watch } from "../../api/etcd/services.ts";
import { runs } from "../mvcc/testdata/runs.ts";
import { freePort, TestClient, TestCluster } from "./test-cluster.ts";

/**
 * What is left at the boundary of a compaction: the same changes and compactions go to one of our members and to a real etcd (SEATRIAL_ETCD,
 * else the built 3.6), and then every watch, range and hash at, below and above the compacted revision must be answered alike.
 */
const built = fileURLToPath(new URL("../../.cache/bin/etcd-3.6", import.meta.url));
const ETCD = process.env["SEATRIAL_ETCD"] ?? (existsSync(built) ? built : "etcd");
const version = /etcd Version: (\S+)/.exec(String(spawnSync(ETCD, ["--version"]).stdout ?? ""))?.[1];

interface Side {
  readonly name: string;
  readonly client: TestClient;
  restart(): Promise<void>;
}

let ours: TestCluster;
let etcd: RealEtcd | undefined;
let sides: readonly Side[];

beforeAll(async () => {
  if (version === undefined || !keepsTombstones(version)) return;
  ours = await TestCluster.start(1);
  etcd = new RealEtcd(await freePort(), await freePort());
  await etcd.start();
  const [member] = ours.members;
  if (member === undefined) throw new Error("no member");
  sides = [
    {
      name: "ours",
      client: ours.client(member),
      restart: async () => {
        await ours.kill(member, "SIGTERM");
        await ours.startMember(member);
      },
    },
    { name: "etcd", client: etcd.client, restart: () => etcd?.restart() ?? Promise.resolve() },
  ];
});

afterAll(async () => {
  await ours?.close();
  await etcd?.close();
});

beforeEach((context) => {
  if (version === undefined) context.skip("no etcd 3.6: tools/install-real-parts etcd-3.6, or SEATRIAL_ETCD");
  else if (!keepsTombstones(version))
    context.skip(
      `etcd ${version} forgets deletions at the compacted revision (etcd issue 18089): give a newer one as SEATRIAL_ETCD`,
    );
});

/** Since 3.4.34 and 3.5.16. */
function keepsTombstones(of: string): boolean {
  const [, minor = 0, patch = 0] = of.split(".").map(Number);
  return minor > 5 || (minor === 5 && patch >= 16) || (minor === 4 && patch >= 34);
}

class RealEtcd {
  readonly client: TestClient;
  readonly #directory = mkdtempSync(join(tmpdir(), "seatrial-etcd-"));
  readonly #ports: readonly [number, number];
  readonly #channel: Client;
  #process: ChildProcess | undefined;

  constructor(clients: number, peers: number) {
    this.#ports = [clients, peers];
    this.#channel = new Client(`127.0.0.1:${clients}`, credentials.createInsecure(), {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    this.client = new TestClient(this.#channel);
  }

  async start(): Promise<void> {
    const [client, peer] = this.#ports.map((port) => `http://127.0.0.1:${port}`);
    const urls = ["--listen-client-urls", "--advertise-client-urls"].map((flag) => `${flag}=${client}`);
    const peers = ["--listen-peer-urls", "--initial-advertise-peer-urls"].map((flag) => `${flag}=${peer}`);
    const own = [`--data-dir=${this.#directory}`, `--initial-cluster=default=${peer}`, "--log-level=error"];
    this.#process = spawn(ETCD, [...urls, ...peers, ...own], { stdio: "ignore" });
    for (let tries = 0; ; tries++) {
      const status = await this.client.call(maintenance.status, {}).catch(() => undefined);
      if (status !== undefined && status.leader !== 0n) return;
      if (tries > 200) throw new Error("etcd did not start");
      await sleep(50);
    }
  }

  async restart(): Promise<void> {
    await this.#end("SIGTERM");
    await this.start();
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#end("SIGKILL");
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}

/** `back` counts from the newest revision. */
type Step =
  | { readonly put: string }
  | { readonly remove: string }
  | { readonly swap: readonly [string, string] }
  | { readonly compact: number };

const bytes = (text: string) => Buffer.from(text);
const ALL = { key: bytes("\0"), rangeEnd: bytes("\0") };

/** Does it, and says in which revision it ended. */
async function take({ client }: Side, step: Step, count: number, revision: number): Promise<string> {
  const value = bytes(`v${count}`);
  const answer = async (call: Promise<{ header: { revision: bigint } | undefined }>) =>
    `ok ${(await call).header?.revision}`;
  const done =
    "put" in step
      ? answer(client.call(kv.put, { key: bytes(step.put), value }))
      : "remove" in step
        ? answer(client.call(kv.deleteRange, { key: bytes(step.remove) }))
        : "swap" in step
          ? answer(
              client.call(kv.txn, {
                success: [
                  { request: { $case: "requestDeleteRange", requestDeleteRange: { key: bytes(step.swap[0]) } } },
                  { request: { $case: "requestPut", requestPut: { key: bytes(step.swap[1]), value } } },
                ],
              }),
            )
          : answer(client.call(kv.compact, { revision: BigInt(revision - step.compact), physical: true }));
  return done.catch(said);
}

function said(error: unknown): string {
  const { code, details } = error as ServiceError;
  // No answer at all says nothing about the store.
  if (code === 4 || code === 14) throw error;
  return `${code} ${details}`;
}

/** The watch's answers from `start` on, until it is canceled or has told the change at `end`. */
async function watchFrom({ client }: Side, start: number, end: number): Promise<string[]> {
  const stream = client.stream(watch.watch);
  const told: string[] = [];
  try {
    const over = new Promise<void>((resolve, reject) => {
      stream.on("error", reject);
      stream.on("data", ({ header, created, canceled, compactRevision, cancelReason, events }: WatchResponse) => {
        if (created || canceled)
          told.push(
            `created ${created} canceled ${canceled} compacted ${compactRevision} header ${header?.revision} ${cancelReason}`,
          );
        for (const { type, kv: at, prevKv } of events)
          told.push(
            `${type} ${text(at?.key)}=${text(at?.value)} create ${at?.createRevision} mod ${at?.modRevision} version ${at?.version} before ${prevKv && `${text(prevKv.value)} mod ${prevKv.modRevision}`}`,
          );
        if (canceled || events.some(({ kv: at }) => at?.modRevision === BigInt(end))) resolve();
      });
    });
    stream.write(
      watch.watch.request.fromPartial({
        requestUnion: { $case: "createRequest", createRequest: { ...ALL, startRevision: BigInt(start), prevKv: true } },
      }),
    );
    await over;
  } finally {
    stream.on("error", () => undefined);
    stream.cancel();
  }
  return told;
}

const text = (of: Uint8Array | undefined) => Buffer.from(of ?? []).toString();

async function rangeAt({ client }: Side, revision: number): Promise<string> {
  const answer = client.call(kv.range, { ...ALL, revision: BigInt(revision) });
  return answer.then(
    ({ kvs, count, header }) =>
      `${count} at ${header?.revision}: ${kvs.map((at) => `${text(at.key)}=${text(at.value)}@${at.modRevision}#${at.version}`).join(" ")}`,
    said,
  );
}

async function hashAt({ client }: Side, revision: number): Promise<string> {
  const answer = client.call(maintenance.hashKV, { revision: BigInt(revision) });
  return answer.then(
    ({ hash, compactRevision, hashRevision }) => `${hash} compacted ${compactRevision} at ${hashRevision}`,
    said,
  );
}

/**
 * Revisions that were compacted at since etcd started. A running etcd remembers the hashes that it took while it compacted, and answers
 * HashKV at those revisions with them, naming the compaction before; after a restart it counts what is left there. Ours always does.
 */
const remembered = new Set<number>();

/** Everything there is to ask around `compacted`. */
async function look(side: Side, { revision: current, compacted }: At): Promise<Record<string, unknown>> {
  const near = Array.from({ length: 10 }, (_, i) => compacted - 1 + i).filter((each) => each >= 1 && each <= current);
  const around = near.filter((each) => each <= compacted + 1);
  const hashes = [0, ...near].filter((each) => !remembered.has(each));
  const seen: Record<string, unknown> = {};
  const watches = await Promise.all(around.map((start) => watchFrom(side, start, current)));
  for (const [i, start] of around.entries()) seen[`watch from ${start}`] = watches[i];
  for (const revision of around) seen[`range at ${revision}`] = await rangeAt(side, revision);
  for (const revision of hashes) seen[`hash at ${revision}`] = await hashAt(side, revision);
  return seen;
}

async function both<T>(ask: (side: Side) => Promise<T>): Promise<T> {
  const [mine, theirs] = await Promise.all(sides.map(ask));
  expect(mine).toEqual(theirs);
  return mine as T;
}

/** The newest revision and the compacted one, the same on both sides. */
interface At {
  readonly revision: number;
  readonly compacted: number;
}

let at: At = { revision: 1, compacted: 0 };
let count = 0;

async function takeAll(steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    count++;
    const answer = await both((side) => take(side, step, count, at.revision));
    if (!answer.startsWith("ok ")) continue;
    if ("compact" in step) remembered.add((at = { ...at, compacted: at.revision - step.compact }).compacted);
    else at = { ...at, revision: Number(answer.slice(3)) };
  }
}

test.for<[string, readonly Step[]]>([
  ["a deletion", [{ put: "a" }, { remove: "a" }, { compact: 0 }]],
  ["a deletion that is followed by a put", [{ put: "a" }, { put: "b" }, { remove: "a" }, { put: "a" }, { compact: 1 }]],
  ["a put over a put", [{ put: "a" }, { put: "a" }, { put: "b" }, { compact: 1 }]],
  ["a transaction that deletes and puts", [{ put: "a" }, { swap: ["a", "b"] }, { put: "a" }, { compact: 1 }]],
  [
    "a put, after a compaction at a deletion",
    [{ put: "a" }, { remove: "a" }, { compact: 0 }, { put: "b" }, { compact: 0 }],
  ],
  [
    "a deletion, after a compaction at a deletion",
    [{ put: "a" }, { put: "b" }, { remove: "a" }, { compact: 0 }, { remove: "b" }, { compact: 0 }],
  ],
])("compacted at %s: what is watched, read and hashed around it is etcd's", async ([, steps]) => {
  await takeAll([...steps, { put: "end" }]);
  const seen = await both((side) => look(side, at));
  expect(String(seen[`watch from ${at.compacted}`])).toContain(`mod ${at.compacted} `);
  expect(String(seen[`watch from ${at.compacted - 1}`])).toContain(`canceled true compacted ${at.compacted} `);
});

test("where no key lives HashKV counts all that is left, as etcd does", async () => {
  await takeAll([{ put: "a" }, { compact: 0 }, { put: "b" }, { remove: "c" }]);
  for (const remove of ["a", "b", "d", "end"]) await takeAll([{ remove }]);
  expect(await both((side) => rangeAt(side, 0))).toMatch(/^0 at/);
  await both((side) => look(side, at));
  // The last deletion is the compacted revision; there is nothing else left.
  await takeAll([{ compact: 0 }]);
  await both((side) => hashAt(side, 0));
  await takeAll([{ put: "end" }]);
  await both((side) => look(side, at));
});

test("after a restart too, HashKV at the compacted revision itself included", async () => {
  const steps = [{ put: "a" }, { put: "b" }, { remove: "b" }, { compact: 0 }, { put: "d" }, { remove: "d" }];
  await takeAll(steps as Step[]);
  await Promise.all(sides.map((side) => side.restart()));
  remembered.clear();
  expect(await both((side) => look(side, at))).toHaveProperty(`hash at ${at.compacted}`);
});

test("whatever is put, deleted and compacted in whatever order", async () => {
  const key = fc.constantFrom("a", "b", "c");
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: key.map((put) => ({ put })) },
    { weight: 4, arbitrary: key.map((remove) => ({ remove })) },
    { weight: 1, arbitrary: fc.constantFrom<Step>({ swap: ["a", "b"] }, { swap: ["c", "a"] }) },
    { weight: 2, arbitrary: fc.nat(3).map((compact) => ({ compact })) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 20 }), async (steps) => {
      await takeAll([...steps, { put: "end" }]);
      await both((side) => look(side, at));
    }),
    // One pair of stores for all runs: what a run leaves behind is the next one's beginning, so nothing can be shrunk.
    { ...runs(25), endOnFailure: true },
  );
});
