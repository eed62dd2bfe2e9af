import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clusterId, memberId } from "./cluster-id.ts";
import { freePort, TestCluster } from "./test-cluster.ts";

function found(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

/** Each conversation is had with three of our members and, where there is one, with a real etcd: the answers must be the same. */
describe.skipIf(!found("etcdctl"))("etcdctl", () => {
  let ours: TestCluster;
  let etcd: { readonly endpoint: string; close(): void } | undefined;

  beforeAll(async () => {
    ours = await TestCluster.start(3);
    if (found("etcd")) etcd = await startEtcd();
  });
  afterAll(async () => {
    await ours.close();
    etcd?.close();
  });

  const run = (endpoints: string, args: readonly string[], input?: string): string => {
    const result = execFileSync("etcdctl", [`--endpoints=${endpoints}`, "--command-timeout=10s", ...args], {
      env: { PATH: process.env["PATH"], ETCDCTL_API: "3" },
      input: input ?? "",
      stdio: ["pipe", "pipe", "pipe"],
    });
    return result.toString();
  };
  const fail = (endpoints: string, args: readonly string[]): string => {
    try {
      run(endpoints, args);
    } catch (error) {
      return (error as { stderr: Buffer }).stderr
        .toString()
        .split("\n")
        .filter((line) => line.startsWith("Error:"))
        .join("\n");
    }
    throw new Error(`etcdctl ${args.join(" ")} was expected to fail`);
  };
  /** Runs a conversation on both sides; `answers` has ours, and etcd's was equal where it could be asked. */
  const same = (talk: (endpoints: string) => string[]): string[] => {
    const answers = talk(ours.endpoints());
    if (etcd) expect(answers).toEqual(talk(etcd.endpoint));
    return answers;
  };

  test("put, get, del", () => {
    same((e) => [
      run(e, ["put", "foo", "bar"]),
      run(e, ["get", "foo"]),
      run(e, ["put", "foo2", "bar2"]),
      run(e, ["get", "--prefix", "foo"]),
      run(e, ["get", "--prefix", "foo", "--limit=1"]),
      run(e, ["get", "--prefix", "foo", "--order=DESCEND", "--sort-by=KEY"]),
      run(e, ["get", "--from-key", "foo2", "--keys-only"]),
      run(e, ["put", "--prev-kv", "foo", "baz"]),
      run(e, ["del", "--prev-kv", "foo"]),
      run(e, ["del", "none"]),
      run(e, ["del", "--prefix", "foo"]),
      run(e, ["get", "foo", "--write-out=json"]).replace(/"(cluster_id|member_id|raft_term)":\d+,?/g, ""),
    ]);
  });

  test("txn", () => {
    same((e) => [
      run(e, ["put", "t", "1"]),
      run(e, ["txn"], 'value("t") = "1"\n\nput t 2\nget t\n\nput t 3\n\n'),
      run(e, ["txn"], 'version("t") > "5"\ncreate("t") = "0"\n\nput t 2\n\ndel t\n\n'),
      run(e, ["get", "t"]),
      fail(e, ["put", "--ignore-value", "absent"]),
    ]);
  });

  test("watch, with history and previous values", async () => {
    const talk = async (e: string) => {
      const rev = JSON.parse(run(e, ["put", "watched", "0", "--write-out=json"])) as { header: { revision: number } };
      run(e, ["put", "watched", "1"]);
      const child = spawn(
        "etcdctl",
        [`--endpoints=${e}`, "watch", "watched", "--prev-kv", `--rev=${rev.header.revision}`],
        { env: { PATH: process.env["PATH"], ETCDCTL_API: "3" }, stdio: ["pipe", "pipe", "ignore"] },
      );
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      const wait = async (lines: number) => {
        const deadline = Date.now() + 10_000;
        while (out.split("\n").length <= lines && Date.now() < deadline)
          await new Promise((resolve) => setTimeout(resolve, 20));
      };
      await wait(7);
      run(e, ["put", "watched", "2"]);
      run(e, ["del", "watched"]);
      await wait(17);
      child.kill();
      return out;
    };
    const answer = await talk(ours.endpoints());
    expect(answer).toBe(
      "PUT\nwatched\n0\nPUT\nwatched\n0\nwatched\n1\nPUT\nwatched\n1\nwatched\n2\nDELETE\nwatched\n2\nwatched\n\n",
    );
    if (etcd) expect(answer).toBe(await talk(etcd.endpoint));
  });

  test("lease grant, keep-alive, timetolive, list, revoke", () => {
    same((e) => {
      const granted = run(e, ["lease", "grant", "30"]);
      const id = /lease ([0-9a-f]+) granted with TTL\(30s\)/.exec(granted)?.[1] ?? "";
      const hide = (text: string) => text.replaceAll(id, "ID").replace(/remaining\(\d+s\)/, "remaining(..)");
      return [
        hide(granted),
        run(e, ["put", `--lease=${id}`, "l", "v"]),
        hide(run(e, ["lease", "timetolive", id, "--keys"])),
        hide(run(e, ["lease", "keep-alive", "--once", id])),
        hide(run(e, ["lease", "list"])),
        hide(run(e, ["lease", "revoke", id])),
        hide(run(e, ["lease", "timetolive", id])),
        run(e, ["get", "l"]),
        hide(fail(e, ["lease", "revoke", id])),
        fail(e, ["put", "--lease=77", "l", "v"]),
      ];
    });
  });

  test("compaction", () => {
    same((e) => {
      const { header } = JSON.parse(run(e, ["put", "c", "1", "--write-out=json"])) as { header: { revision: number } };
      run(e, ["put", "c", "2"]);
      const rev = String(header.revision + 1);
      const hide = (text: string) => text.replaceAll(rev, "REV");
      return [
        hide(run(e, ["compaction", rev])),
        fail(e, ["get", "c", `--rev=${header.revision}`]),
        run(e, ["get", "c", `--rev=${rev}`]),
        fail(e, ["compaction", rev]),
        fail(e, ["compaction", "1000000"]),
        fail(e, ["get", "c", "--rev=1000000"]),
      ];
    });
  });

  test("lock and elect, which are built of leases, txns and watches", () => {
    same((e) => [run(e, ["lock", "mutex", "echo", "held"])]);
  });

  test("endpoint status, health and hashkv; member list", async () => {
    const e = ours.endpoints();
    const status = run(e, ["endpoint", "status"])
      .trim()
      .split("\n")
      .map((line) => line.split(", "));
    expect(status).toHaveLength(3);
    expect(status.map(([, , version]) => version)).toEqual(["3.6.14", "3.6.14", "3.6.14"]);
    expect(status.filter(([, , , , leader]) => leader === "true")).toHaveLength(1);
    expect(run(e, ["endpoint", "health", "--write-out=json"])).toBeDefined();
    const hashes = run(e, ["endpoint", "hashkv"])
      .trim()
      .split("\n")
      .map((line) => line.split(", ")[1]);
    expect(new Set(hashes).size).toBe(1);
    const list = run(e, ["member", "list"])
      .trim()
      .split("\n")
      .map((line) => line.split(", "));
    expect(list.map(([, state, name]) => [state, name]).toSorted()).toEqual([
      ["started", "m1"],
      ["started", "m2"],
      ["started", "m3"],
    ]);
    expect(list.map(([id]) => id).toSorted()).toEqual(
      ours.members
        .map(({ peerPort }) => memberId([`http://127.0.0.1:${peerPort}`], "etcd-cluster").toString(16))
        .toSorted(),
    );
  });

  test("ids are those that a real etcd would have", async (ctx) => {
    if (!etcd) return ctx.skip("there is no etcd on PATH");
    const status = JSON.parse(run(etcd.endpoint, ["endpoint", "status", "--write-out=json"])) as [
      { Status: { header: { cluster_id: number; member_id: number } } },
    ];
    const list = run(etcd.endpoint, ["member", "list"]).trim().split(", ");
    const id = memberId([list[3] ?? ""], "etcd-cluster");
    expect(list[0]).toBe(id.toString(16));
    expect(Number(clusterId([id]))).toBe(Number(BigInt(status[0].Status.header.cluster_id)));
    return undefined;
  });
});

async function startEtcd(): Promise<{ readonly endpoint: string; close(): void }> {
  const dir = mkdtempSync(join(tmpdir(), "seatrial-etcd-"));
  const client = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    "etcd",
    [
      "--data-dir",
      dir,
      "--listen-client-urls",
      client,
      "--advertise-client-urls",
      client,
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      "--initial-cluster",
      `default=${peer}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      if (/ready to serve client requests|serving insecure client requests/.test(chunk.toString())) resolve();
    });
    child.once("exit", (code) => reject(new Error(`etcd ended with ${code}`)));
  });
  return {
    endpoint: client.slice("http://".length),
    close() {
      child.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
