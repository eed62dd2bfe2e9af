import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WatchResponse } from "../../api/etcd/gen/rpc.ts";
import { cluster, kv, lease, maintenance, watch } from "../../api/etcd/services.ts";
import { freePort, TestCluster, type TestClient, type TestMember } from "./test-cluster.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/seatrial", import.meta.url));
const bytes = (text: string) => Buffer.from(text);

/** Asks again until the answer satisfies: for states that come about by themselves. */
async function until<T>(ask: () => Promise<T>, satisfied: (answer: T) => boolean, withinMs = 10_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask().catch((error: unknown) => error as Error);
    if (!(answer instanceof Error) && satisfied(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms; last: ${String(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function leaderOf(c: TestCluster): Promise<TestMember> {
  const alive = c.members.filter((member) => member.process);
  const status = await until(
    () => c.client(alive[0] as TestMember).call(maintenance.status, {}),
    ({ leader }) => leader !== 0n,
  );
  for (const member of alive) {
    const { header } = await c.client(member).call(maintenance.status, {});
    if (header?.memberId === status.leader) return member;
  }
  throw new Error("the leader is not among those alive");
}

describe("three members", () => {
  let c: TestCluster;
  let clients: TestClient[];
  beforeAll(async () => {
    c = await TestCluster.start(3, ["--snapshot-count=200", "--snapshot-catchup-entries=20"]);
    clients = c.members.map((member) => c.client(member));
  });
  afterAll(() => c.close());
  const at = (i: number): TestClient => clients[i] as TestClient;

  test("what one member writes, each other reads, with one revision", async () => {
    const put = await at(0).call(kv.put, { key: bytes("a"), value: bytes("1") });
    for (const client of clients) {
      const range = await client.call(kv.range, { key: bytes("a") });
      expect(range.kvs.map(({ value, modRevision }) => [Buffer.from(value).toString(), modRevision])).toEqual([
        ["1", put.header?.revision],
      ]);
    }
    const txn = await at(1).call(kv.txn, {
      compare: [{ key: bytes("a"), target: 3, targetUnion: { $case: "value", value: bytes("1") } }],
      success: [
        { request: { $case: "requestPut", requestPut: { key: bytes("a"), value: bytes("2") } } },
        { request: { $case: "requestPut", requestPut: { key: bytes("b"), value: bytes("2") } } },
      ],
    });
    expect(txn.succeeded).toBe(true);
    expect(txn.header?.revision).toBe((put.header?.revision ?? 0n) + 1n);
    expect((await at(2).call(kv.range, { key: bytes("b") })).count).toBe(1n);
  });

  test("a refused request has etcd's code and text", async () => {
    await expect(at(0).call(kv.put, { value: bytes("x") })).rejects.toMatchObject({
      code: 3,
      details: "etcdserver: key is not provided",
    });
    await expect(at(0).call(kv.range, { key: bytes("a"), revision: 1_000_000n })).rejects.toMatchObject({
      code: 11,
      details: "etcdserver: mvcc: required revision is a future revision",
    });
    await expect(at(1).call(kv.put, { key: bytes("a"), lease: 77n })).rejects.toMatchObject({
      code: 5,
      details: "etcdserver: requested lease not found",
    });
    await expect(at(1).call(kv.put, { key: bytes("a"), value: Buffer.alloc(1_600_000) })).rejects.toMatchObject({
      code: 3,
      details: "etcdserver: request is too large",
    });
    await expect(at(2).call(cluster.memberRemove, { ID: 1n })).rejects.toMatchObject({ code: 12 });
  });

  test("a watch on a follower gets history and what comes, whole revisions, once", async () => {
    const first = await at(0).call(kv.put, { key: bytes("w/1"), value: bytes("1") });
    const stream = at(1).stream(watch.watch);
    const seen: WatchResponse[] = [];
    stream.on("data", (response: WatchResponse) => seen.push(response));
    stream.on("error", () => undefined);
    stream.write({
      requestUnion: {
        $case: "createRequest",
        createRequest: {
          key: bytes("w/"),
          rangeEnd: bytes("w0"),
          startRevision: first.header?.revision ?? 0n,
          progressNotify: false,
          filters: [],
          prevKv: true,
          watchId: 0n,
          fragment: false,
        },
      },
    });
    await until(
      async () => seen.flatMap(({ events }) => events),
      (events) => events.length === 1,
    );
    for (let i = 0; i < 50; i++) await at(i % 3).call(kv.put, { key: bytes(`w/${i % 5}`), value: bytes(String(i)) });
    const last = await at(2).call(kv.deleteRange, { key: bytes("w/"), rangeEnd: bytes("w0") });
    const events = await until(
      async () => seen.flatMap((response) => response.events),
      (all) => all.length >= 56,
    );
    expect(events).toHaveLength(56);
    expect(events.map(({ kv: pair }) => pair?.modRevision)).toEqual(
      events.map(({ kv: pair }) => pair?.modRevision).toSorted((a, b) => Number((a ?? 0n) - (b ?? 0n))),
    );
    expect(
      events
        .slice(-5)
        .every(
          ({ type, prevKv, kv: pair }) =>
            type === 1 && prevKv !== undefined && pair?.modRevision === last.header?.revision,
        ),
    ).toBe(true);
    expect(seen[0]).toMatchObject({ created: true, events: [] });
    stream.cancel();
  });

  test("a lease lives while it is kept alive through a follower, and its keys go with it", async () => {
    const leader = await leaderOf(c);
    const follower = c.client(c.members.find((member) => member !== leader) as TestMember);
    const { ID, TTL } = await follower.call(lease.leaseGrant, { TTL: 1n });
    expect(TTL).toBe(2n);
    await follower.call(kv.put, { key: bytes("leased"), lease: ID });
    const stream = follower.stream(lease.leaseKeepAlive);
    const ttls: bigint[] = [];
    stream.on("data", (response: { TTL: bigint }) => ttls.push(response.TTL));
    stream.on("error", () => undefined);
    for (let i = 0; i < 6; i++) {
      stream.write({ ID });
      await until(
        async () => ttls.length,
        (count) => count > i,
      );
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect((await follower.call(kv.range, { key: bytes("leased") })).count).toBe(1n);
    expect(
      (await follower.call(lease.leaseTimeToLive, { ID, keys: true })).keys.map((key) => Buffer.from(key).toString()),
    ).toEqual(["leased"]);
    await until(
      () => follower.call(kv.range, { key: bytes("leased") }),
      ({ count }) => count === 0n,
      6000,
    );
    stream.write({ ID });
    await until(
      async () => ttls.at(-1),
      (ttl) => ttl === 0n,
    );
    expect((await follower.call(lease.leaseTimeToLive, { ID })).TTL).toBe(-1n);
    stream.end();
  });

  test("kill -9 of the leader loses nothing acknowledged; it comes back by a snapshot", async () => {
    const leader = await leaderOf(c);
    const others = c.members.filter((member) => member !== leader);
    const client = c.client(others[0] as TestMember);
    let acknowledged = 0;
    for (let i = 0; i < 100; i++) {
      await client.call(kv.put, { key: bytes(`kill/${i}`), value: bytes(String(i)) });
      acknowledged++;
    }
    await c.kill(leader);
    await until(
      () => client.call(kv.put, { key: bytes("after"), value: bytes("1") }, 1000),
      () => true,
    );
    // More than the others keep: the one that was down needs a whole state.
    await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        client.call(kv.put, { key: bytes(`more/${i % 50}`), value: bytes(String(i)) }),
      ),
    );
    expect(
      (await client.call(kv.range, { key: bytes("kill/"), rangeEnd: bytes("kill0"), countOnly: true })).count,
    ).toBe(BigInt(acknowledged));
    await c.startMember(leader);
    const { header } = await client.call(kv.range, { key: bytes("after") });
    const hash = await client.call(maintenance.hashKV, { revision: header?.revision ?? 0n });
    const caughtUp = await until(
      () => c.client(leader).call(maintenance.hashKV, { revision: header?.revision ?? 0n }),
      () => true,
    );
    expect(caughtUp.hash).toBe(hash.hash);
    expect(await c.log(leader)).toContain("applied snapshot");
  });

  test("kill -9 of all three loses nothing acknowledged", async () => {
    const client = at(0);
    const puts = await Promise.all(
      Array.from({ length: 100 }, (_, i) => client.call(kv.put, { key: bytes(`all/${i}`), value: bytes(String(i)) })),
    );
    expect(puts).toHaveLength(100);
    await Promise.all(c.members.map((member) => c.kill(member)));
    await Promise.all(c.members.map((member) => c.startMember(member)));
    const range = await until(
      () =>
        c
          .client(c.members[1] as TestMember)
          .call(kv.range, { key: bytes("all/"), rangeEnd: bytes("all0"), countOnly: true }),
      () => true,
    );
    expect(range.count).toBe(100n);
  });

  test("SIGTERM: the leader hands over and ends cleanly, at once", async () => {
    const leader = await leaderOf(c);
    const other = c.client(c.members.find((member) => member !== leader) as TestMember);
    const before = await other.call(maintenance.status, {});
    const begin = Date.now();
    expect(await c.kill(leader, "SIGTERM")).toBe(0);
    expect(Date.now() - begin).toBeLessThan(1500);
    const after = await until(
      () => other.call(maintenance.status, {}),
      ({ leader: now }) => now !== 0n && now !== before.leader,
      2000,
    );
    expect(after.raftTerm).toBe(before.raftTerm + 1n);
    await c.startMember(leader);
  });

  test("health, version and metrics share the port", async () => {
    const get = async (path: string) =>
      await (await fetch(`http://127.0.0.1:${c.members[0]?.clientPort}${path}`)).text();
    await at(0).call(kv.put, { key: bytes("metrics") });
    expect(JSON.parse(await get("/health"))).toEqual({ health: "true", reason: "" });
    expect(JSON.parse(await get("/version"))).toMatchObject({ etcdserver: "3.6.14", etcdcluster: "3.6.0" });
    expect(await get("/metrics")).toMatch(/^etcd_server_has_leader 1$/m);
    expect(await get("/metrics")).toMatch(
      /grpc_server_handled_total\{grpc_service="etcdserverpb.KV",grpc_method="Put",grpc_code="OK"\} \d+/,
    );
    expect(await get("/readyz?verbose")).toContain("[+]linearizable_read ok");
    expect((await fetch(`http://127.0.0.1:${c.members[0]?.clientPort}/nothing`)).status).toBe(404);
  });

  test("a peer that is no member of this cluster is refused with a sentence", async () => {
    const post = (headers: Record<string, string>) =>
      new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
        const call = request(
          { port: c.members[0]?.peerPort, host: "127.0.0.1", method: "POST", path: "/raft", headers },
          (response) => {
            response.setEncoding("utf8");
            let text = "";
            response.on("data", (chunk: string) => (text += chunk));
            response.on("end", () => resolve({ status: response.statusCode, text }));
          },
        );
        call.on("error", reject);
        call.end();
      });
    expect(await post({ "x-server-from": "1", "x-etcd-cluster-id": "2" })).toMatchObject({
      status: 412,
      text: expect.stringContaining("it forms no cluster with etcd") as string,
    });
    expect(await post({ "x-seatrial-peer": "1", "x-server-from": "1", "x-etcd-cluster-id": "2" })).toMatchObject({
      status: 412,
      text: expect.stringContaining("cluster ID mismatch") as string,
    });
  });

  test("the data directory of another member is refused", async () => {
    const [first, second] = c.members as [TestMember, TestMember];
    await c.kill(first);
    await c.kill(second);
    const argv = c.argv({ ...first, dataDir: second.dataDir });
    await expect(promisify(execFile)(LAUNCHER, ["store", ...argv])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("point the member at its own data directory") as string,
    });
  });
});

describe("one process", () => {
  test("a data directory is for one process at a time; a port in use is exit code 1; a bad flag 2", async () => {
    const c = await TestCluster.start(1);
    try {
      const [member] = c.members as [TestMember];
      const run = (argv: readonly string[]) =>
        promisify(execFile)(LAUNCHER, ["store", ...argv], { env: { PATH: process.env["PATH"] } });
      await expect(run(c.argv(member))).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining("address already in use") as string,
      });
      const port = await freePort();
      const elsewhere = c.argv(member).map((word) => word.replace(String(member.clientPort), String(port)));
      const peerPort = await freePort();
      const at = elsewhere.indexOf("--listen-peer-urls");
      elsewhere[at + 1] = `http://127.0.0.1:${peerPort}`;
      await expect(run(elsewhere)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining("is in use by another process") as string,
      });
      await expect(run(["--bogus"])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining("flag provided but not defined: -bogus") as string,
      });
      await expect(run(["stray"])).rejects.toMatchObject({ code: 1 });
      expect((await run(["--version"])).stdout.split("\n")[0]).toBe("etcd Version: 3.6.14");
    } finally {
      await c.close();
    }
  });

  test("the fault channel slows and fails the log's disk; a failed datasync ends the member", async () => {
    const dir = await mkdtemp(join(tmpdir(), "seatrial-fault-"));
    const [clientPort, peerPort] = [await freePort(), await freePort()];
    const url = (port: number) => `http://127.0.0.1:${port}`;
    const child = spawn(
      LAUNCHER,
      [
        "store",
        "--data-dir",
        dir,
        "--listen-client-urls",
        url(clientPort),
        "--advertise-client-urls",
        url(clientPort),
        "--listen-peer-urls",
        url(peerPort),
        "--initial-advertise-peer-urls",
        url(peerPort),
      ],
      {
        stdio: ["ignore", "ignore", "pipe", "pipe"],
        env: { PATH: process.env["PATH"], SEATRIAL_FAULT_FD: "3" },
      },
    );
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    try {
      let log = "";
      child.stderr?.on("data", (chunk: Buffer) => (log += chunk.toString()));
      await until(
        async () => log,
        (text) => text.includes("ready to serve client requests"),
      );
      const channel = child.stdio[3] as unknown as NodeJS.ReadWriteStream;
      let answers = "";
      channel.on("data", (chunk: Buffer) => (answers += chunk.toString()));
      const ask = async (id: number, command: object) => {
        channel.write(`${JSON.stringify({ id, ...command })}\n`);
        const line = await until(
          async () => answers.split("\n").find((text) => text.includes(`"id":${id},`)),
          (text) => text !== undefined,
        );
        return JSON.parse(line ?? "") as {
          ok: boolean;
          elapsedMs?: number;
          errno?: string;
          wallMs?: number;
          error?: string;
        };
      };
      expect((await ask(1, { probe: "datasync" })).elapsedMs).toBeLessThan(150);
      expect(await ask(2, { disk: "datasync", delayMs: 200 })).toMatchObject({ ok: true });
      expect((await ask(3, { probe: "datasync" })).elapsedMs).toBeGreaterThanOrEqual(200);
      expect(await ask(4, { clock: "offset", wallMs: 3_600_000 })).toMatchObject({ ok: true });
      expect((await ask(5, { probe: "clock" })).wallMs).toBeGreaterThan(Date.now() + 3_500_000);
      expect(await ask(6, { disk: "teleport" })).toMatchObject({ ok: false });
      expect(await ask(7, { disk: "heal" })).toMatchObject({ ok: true });
      expect((await ask(8, { probe: "datasync" })).elapsedMs).toBeLessThan(150);
      expect(await ask(9, { disk: "datasync", delayMs: 0, errno: "EIO" })).toMatchObject({ ok: true });
      expect(await ask(10, { probe: "datasync" })).toMatchObject({ errno: "EIO" });
      const { Client, credentials } = await import("@grpc/grpc-js");
      const client = new Client(`127.0.0.1:${clientPort}`, credentials.createInsecure());
      client.makeUnaryRequest(
        kv.put.path,
        (message: Uint8Array) => Buffer.from(message),
        (answer: Buffer) => answer,
        kv.put.request.encode(kv.put.request.fromPartial({ key: bytes("k") })).finish(),
        () => undefined,
      );
      expect(await ended).toBe(1);
      expect(log).toContain("the log could not be written");
      client.close();
    } finally {
      child.kill("SIGKILL");
      await ended;
      await rm(dir, { recursive: true, force: true });
    }
  });
});
