import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair, PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import { isUsageError } from "../errors.ts";
import { gistOf, memberEnvironment } from "./binary.ts";
import { clusterView, type MemberReading } from "./cluster-view.ts";
import { etcdFlags, PORT_TAKEN, READY } from "./etcd-flags.ts";
import { faultChannelOver } from "./fault-channel.ts";
import { EndpointsTarget, openTarget, type OpenTargetOptions } from "./open.ts";
import { holdPorts } from "./ports.ts";
import { endLeftovers, isAlive, ProcessJournal, readProcessJournal } from "./process-journal.ts";
import { processStartTime } from "./process-identity.ts";

let runDir = "";
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "seatrial-targets-"));
});
afterEach(() => rmSync(runDir, { recursive: true }));

const options = (more: Partial<OpenTargetOptions> = {}): OpenTargetOptions => ({
  nodes: 3,
  runDir,
  clock: systemClock,
  random: seededRandom(1),
  ...more,
});

describe("what cannot be a target is told in one sentence", () => {
  const refused = async (spec: string, more: Partial<OpenTargetOptions> = {}) => {
    const error: unknown = await openTarget(spec, options(more)).catch((reason: unknown) => reason);
    if (!isUsageError(error)) throw new Error(`not refused as it should be: ${String(error)}`);
    expect(error.message).not.toContain("\n");
    return error.message;
  };
  const script = (text: string) => {
    const path = join(runDir, "program");
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };

  test("a name that nobody knows", async () =>
    expect(await refused("zookeeper")).toMatch(
      /^there is no target "zookeeper"; give --target reference, etcd, endpoints, simulation or a path/,
    ));
  test("a path where nothing is", async () =>
    expect(await refused("/no/such/etcd")).toMatch(/^the target \/no\/such\/etcd does not exist;/));
  test("a folder", async () => expect(await refused(runDir)).toMatch(/is not an executable file;/));
  test("a binary that is no etcd", async () =>
    expect(await refused(script("echo hello"))).toMatch(
      /--version does not print "etcd Version: x.y.z" \(it printed "hello"\)/,
    ));
  test("a file that cannot be run", async () => {
    const path = script("");
    writeFileSync(path, "#!/no/such/interpreter\n");
    expect(await refused(path)).toMatch(/cannot be run \(ENOENT\)/);
  });
  test.each([0, 1.5, 10, Number.NaN])("%d members", async (nodes) =>
    expect(await refused(script("echo etcd Version: 3.6.0"), { nodes })).toMatch(/is no size for a cluster/),
  );
  test("no etcd on PATH", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = runDir;
    try {
      expect(await refused("etcd")).toBe(
        "no etcd on PATH; install it (Debian: apt-get install etcd-server) or give --target the path to one.",
      );
    } finally {
      process.env["PATH"] = path;
    }
  });
  test("endpoints without any", async () => expect(await refused("endpoints")).toMatch(/needs --endpoints/));
  test("endpoints for another target", async () =>
    expect(await refused("etcd", { endpoints: ["127.0.0.1:1"] })).toMatch(/--endpoints is for --target endpoints/));
  test.each([
    "127.0.0.1",
    "http://127.0.0.1",
    "127.0.0.1:0",
    "127.0.0.1:99999",
    "ftp://127.0.0.1:1",
    "[zz]:1",
    "http://u:p@127.0.0.1:1",
    "",
  ])("the endpoint %j", async (endpoint) => {
    expect(await refused("endpoints", { endpoints: [endpoint] })).toMatch(/is no address; give --endpoints host:port/);
  });
  test("an endpoint with TLS", async () =>
    expect(await refused("endpoints", { endpoints: ["https://127.0.0.1:1"] })).toMatch(/asks for TLS/));
  test.each(["10.0.0.1:2379", "http://example.org:2379", "[2001:db8::1]:2379", "127.example.org:2379"])(
    "the endpoint %s without --allow-remote",
    async (endpoint) => {
      expect(await refused("endpoints", { endpoints: [endpoint] })).toMatch(
        /is not on this machine; add --allow-remote/,
      );
    },
  );
});

test("endpoints of this machine are taken, and others when allowed", async () => {
  const endpoints = ["http://127.0.0.1:1", "127.1.2.3:2/", "localhost:3", "[::1]:4"];
  await using here = new EndpointsTarget({ endpoints, clock: systemClock });
  expect(here.nodes.map((node) => here.endpoint(node.name))).toEqual(
    ["127.0.0.1:1", "127.1.2.3:2", "127.0.0.1:3", "[::1]:4"].map((address) => address.replace(/\/$/, "")),
  );
  await using there = new EndpointsTarget({ endpoints: ["example.org:2379"], clock: systemClock, allowRemote: true });
  expect(there.endpoint("n1")).toBe("example.org:2379");
});

describe("ports", () => {
  test("held ports are free, distinct, ours until released, and outside the range of outgoing connections", async () => {
    const held = await holdPorts(12, seededRandom("ports"));
    expect(new Set(held.ports).size).toBe(12);
    expect(held.ports.every((port) => port < 32_768 || port > 60_999)).toBe(true);
    expect(await bind(held.ports[0] ?? 0)).toBe("EADDRINUSE");
    await held.release();
    expect(await bind(held.ports[0] ?? 0)).toBe("bound");
  });

  test("a port that is taken is passed over", async () => {
    const first = await holdPorts(3, seededRandom("same"));
    const second = await holdPorts(3, seededRandom("same"));
    expect(second.ports.some((port) => first.ports.includes(port))).toBe(false);
    await first.release();
    await second.release();
  });

  async function bind(port: number): Promise<string> {
    const server = createServer();
    try {
      server.listen({ host: "127.0.0.1", port, exclusive: true });
      await once(server, "listening");
      return "bound";
    } catch (error) {
      return error instanceof Error && "code" in error ? String(error.code) : String(error);
    } finally {
      server.close();
    }
  }
});

test("the flags name the proxies to others and the member's own addresses to itself", () => {
  const plan = (name: string, advertised: string) => ({
    name,
    dataDir: `/d/${name}`,
    client: `c${name}`,
    peer: `p${name}`,
    advertisedClient: `${advertised}c${name}`,
    advertisedPeer: `${advertised}p${name}`,
  });
  const plans = [plan("n1", "via-"), plan("n2", "via-")];
  const [first] = plans;
  if (first === undefined) throw new Error("no plan");
  const flags = etcdFlags(first, plans, { token: "t", version: "3.4.23" });
  expect(flags).toEqual(
    expect.arrayContaining([
      "--listen-client-urls=http://cn1",
      "--advertise-client-urls=http://via-cn1",
      "--listen-peer-urls=http://pn1",
      "--initial-advertise-peer-urls=http://via-pn1",
      "--initial-cluster=n1=http://via-pn1,n2=http://via-pn2",
      "--logger=zap",
    ]),
  );
  expect(etcdFlags(first, plans, { token: "t", version: "3.6.14" })).not.toContain("--logger=zap");
});

test("readiness and a taken port are read from what etcd 3.4, later ones and ours say", () => {
  expect(READY.test('{"level":"info","msg":"ready to serve client requests"}')).toBe(true);
  expect(READY.test('{"level":"info","msg":"serving client traffic insecurely; this is strongly discouraged!"}')).toBe(
    true,
  );
  expect(READY.test('{"level":"info","msg":"now serving peer/client/metrics"}')).toBe(false);
  expect(PORT_TAKEN.test("listen tcp 127.0.0.1:1: bind: address already in use")).toBe(true);
});

test("the last words of a program are its fatal line, else the line that reads like a reason, else its last two", () => {
  expect(
    gistOf(
      '{"level":"info","msg":"a"}\n{"level":"fatal","msg":"discovery failed","error":"no space"}\n{"level":"info","msg":"bye"}',
    ),
  ).toBe('"discovery failed: no space"');
  expect(gistOf("flag provided but not defined: -x\nUsage:\n  etcd [flags]\n")).toBe(
    '"flag provided but not defined: -x"',
  );
  expect(gistOf("one\ntwo\nthree\n")).toBe('"two / three"');
  expect(gistOf("")).toBe("nothing");
});

test("a member does not inherit flags from the environment", () => {
  process.env["ETCD_NAME"] = "someone";
  try {
    expect(memberEnvironment({ A: "1" })).toMatchObject({ A: "1" });
    expect(memberEnvironment({})["ETCD_NAME"]).toBeUndefined();
  } finally {
    delete process.env["ETCD_NAME"];
  }
});

test("a port that was taken from under a member is tried again with others, three times, and then told", async () => {
  const calls = join(runDir, "calls");
  const program = join(runDir, "program");
  writeFileSync(
    program,
    `#!/bin/sh\n[ "$1" = --version ] && echo etcd Version: 3.6.0 && exit\necho "$@" >> ${calls}\necho listen tcp: bind: address already in use\nexit 1\n`,
  );
  chmodSync(program, 0o755);
  await using target = await openTarget(program, options({ nodes: 1 }));
  const started = target.start({ wrapper: [], env: {}, links: false, faultChannel: false, extraArgs: [] });
  await expect(started).rejects.toThrow(
    /^n1 ended while it started \(exit code 1\); its last words were "listen tcp: bind: address already in use", its log is /,
  );
  const listened = readFileSync(calls, "utf8")
    .trim()
    .split("\n")
    .map((line) => /--listen-client-urls=\S+/.exec(line)?.[0]);
  expect(new Set(listened).size).toBe(3);
});

describe("the view", () => {
  const says = (node: string, memberId: string, leaderId: string): MemberReading => ({
    node,
    running: true,
    pid: 1,
    status: { memberId, leaderId, term: 2, revision: 5, version: "3.6.0" },
    knownId: memberId,
  });
  const silent = (node: string, knownId?: string): MemberReading => ({
    node,
    running: false,
    ...(knownId === undefined ? {} : { knownId }),
  });

  test("the leader is whom a majority names", () => {
    const view = clusterView([says("n1", "a", "b"), says("n2", "b", "b"), says("n3", "c", "c")]);
    expect(view.leader).toBe("n2");
    expect(view.nodes.map((node) => node.leader)).toEqual([false, true, false]);
  });
  test("one of three is no majority, however sure it is", () =>
    expect(clusterView([says("n1", "a", "a"), silent("n2"), silent("n3")]).leader).toBeUndefined());
  test("nobody is no leader", () =>
    expect(clusterView([says("n1", "a", "0"), says("n2", "b", "0"), silent("n3")]).leader).toBeUndefined());
  test("a leader that does not answer is known by what it was", () =>
    expect(clusterView([says("n1", "a", "c"), says("n2", "b", "c"), silent("n3", "c")]).leader).toBe("n3"));
});

describe("the journal of processes", () => {
  const sleeper = async () => {
    const child = spawn("sleep", ["60"], { stdio: "ignore", detached: true });
    await once(child, "spawn");
    const pid = child.pid ?? 0;
    return { child, pid, recorded: { node: "n1", pid, started: processStartTime(pid) ?? "", command: "sleep 60" } };
  };

  test("what a killed harness left is ended, stopped processes too, and the journal is empty then", async () => {
    const { child, pid, recorded } = await sleeper();
    new ProcessJournal(runDir).add(recorded);
    process.kill(pid, "SIGSTOP");
    const gone = once(child, "exit");
    expect(await endLeftovers(runDir, { clock: systemClock })).toEqual([recorded]);
    await gone;
    expect(isAlive(recorded)).toBe(false);
    expect(readProcessJournal(runDir)).toEqual([]);
    expect(await endLeftovers(runDir, { clock: systemClock })).toEqual([]);
  });

  test("a later process with the same pid is left alone", async () => {
    const { child, recorded } = await sleeper();
    new ProcessJournal(runDir).add({ ...recorded, started: "1" });
    expect(await endLeftovers(runDir, { clock: systemClock })).toEqual([]);
    expect(isAlive(recorded)).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
  });

  test("a process that hears no SIGTERM is killed", async () => {
    const child = spawn("sh", ["-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    await once(child.stdout, "data");
    const gone = once(child, "exit");
    new ProcessJournal(runDir).add({
      node: "n1",
      pid: child.pid ?? 0,
      started: processStartTime(child.pid ?? 0) ?? "",
      command: "sh",
    });
    expect(await endLeftovers(runDir, { clock: systemClock })).toHaveLength(1);
    expect((await gone)[1]).toBe("SIGKILL");
  });

  test.each(["", "{}", '[{"node":"n1"}]', '[{"node":"n1","pid":1,"started":"1","command":"init"}]'])(
    "a damaged journal %j is refused",
    (text) => {
      writeFileSync(join(runDir, "processes.json"), text);
      expect(() => readProcessJournal(runDir)).toThrow(/processes\.json is damaged/);
    },
  );
});

describe("the fault channel", () => {
  test("matches answers to requests by id, and rejects when the member ends", async () => {
    const [ours, theirs] = duplexPair();
    const channel = faultChannelOver(ours, "n1", systemClock);
    const lines: { id: number }[] = [];
    theirs.on("data", (chunk: Buffer) =>
      lines.push(
        ...chunk
          .toString()
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { id: number }),
      ),
    );
    const first = channel.request({ disk: "datasync", delayMs: 5 });
    const second = channel.request({ probe: "datasync" });
    await systemClock.sleep(5);
    expect(lines).toEqual([
      { id: 1, disk: "datasync", delayMs: 5 },
      { id: 2, probe: "datasync" },
    ]);
    theirs.write('{"id":2,"ok":true,"elapsedMs":6}\n{"id":1,"ok":true}\n');
    expect(await Promise.all([first, second])).toEqual([
      { id: 1, ok: true },
      { id: 2, ok: true, elapsedMs: 6 },
    ]);
    const third = channel.request({ disk: "heal" });
    theirs.destroy();
    ours.destroy();
    await expect(third).rejects.toThrow("the fault channel of n1 is closed");
    await expect(channel.request({ disk: "heal" })).rejects.toThrow("is closed");
  });

  test("an answer that is none breaks it", async () => {
    const stream = new PassThrough();
    const channel = faultChannelOver(stream, "n1", systemClock);
    // A PassThrough gives us back our own request, which has no `ok`.
    await expect(channel.request({ disk: "heal" })).rejects.toThrow("carried what is no answer");
  });
});
