import { expect, test } from "vitest";
import { FlagError, FLAGS, helpText, parseFlags, type StoreFlags } from "./flags.ts";

const parse = (argv: readonly string[], env: Record<string, string> = {}): StoreFlags => {
  const flags = parseFlags(argv, env);
  if (typeof flags === "string") throw new Error(flags);
  return flags;
};
const refusalOf = (argv: readonly string[], env: Record<string, string> = {}): FlagError => {
  try {
    parseFlags(argv, env);
  } catch (error) {
    if (error instanceof FlagError) return error;
    throw error;
  }
  throw new Error("it was accepted");
};

test("etcd's defaults", () => {
  expect(parse([])).toMatchObject({
    name: "default",
    dataDir: "default.etcd",
    heartbeatMs: 100,
    electionMs: 1000,
    snapshotCount: 10_000,
    snapshotCatchUpEntries: 5000,
    maxRequestBytes: 1_572_864,
    maxTxnOps: 128,
    initialClusterToken: "etcd-cluster",
    progressNotifyMs: 600_000,
    initialCluster: [{ name: "default", urls: ["http://localhost:2380"] }],
    listenClientUrls: [{ host: "localhost", port: 2379 }],
  });
});

test("a value comes after = or as the next word, by one dash or two, and the last of repeats wins", () => {
  expect(
    parse([
      "--name=a",
      "--data-dir",
      "/d",
      "-heartbeat-interval=50",
      "--name",
      "b",
      "--initial-cluster",
      "b=http://localhost:2380",
    ]),
  ).toMatchObject({ name: "b", dataDir: "/d", heartbeatMs: 50 });
  expect(parse(["--data-dir=a=b"]).dataDir).toBe("a=b");
});

test("booleans are bare or have a value, and never take the next word", () => {
  expect(parseFlags(["--version"], {})).toBe("version");
  expect(parseFlags(["--version=true"], {})).toBe("version");
  expect(parseFlags(["-h"], {})).toBe("help");
  expect(parse(["--pre-vote", "--strict-reconfig-check=true", "--version=false"]).name).toBe("default");
  expect(refusalOf(["--pre-vote", "true"])).toMatchObject({ exitCode: 1 });
});

test("the environment fills in what was not given, and what is not a flag there is nothing of ours", () => {
  expect(
    parse(["--data-dir", "x"], {
      ETCD_DATA_DIR: "y",
      ETCD_HEARTBEAT_INTERVAL: "20",
      ETCD_VERIFY: "all",
      ETCD_UNSUPPORTED_ARCH: "arm64",
    }),
  ).toMatchObject({ dataDir: "x", heartbeatMs: 20 });
  expect(refusalOf([], { ETCD_SNAPSHOT_COUNT: "many" }).message).toContain("snapshot-count");
});

test("a cluster of several members, a member with several URLs, an IPv6 address", () => {
  const flags = parse([
    "--name",
    "b",
    "--initial-cluster",
    "a=http://127.0.0.1:1,b=http://[::1]:2,b=http://localhost:3",
    "--initial-advertise-peer-urls",
    "http://localhost:3,http://[::1]:2",
    "--listen-peer-urls",
    "http://[::1]:2",
  ]);
  expect(flags.initialCluster).toEqual([
    { name: "a", urls: ["http://127.0.0.1:1"] },
    { name: "b", urls: ["http://[::1]:2", "http://localhost:3"] },
  ]);
  expect(flags.listenPeerUrls[0]).toMatchObject({ host: "::1", port: 2 });
});

test.each([
  [["--bogus"], 2, "flag provided but not defined: -bogus"],
  [["--auto-tls"], 2, "-auto-tls"],
  [["--auth-token=jwt"], 2, "-auth-token"],
  [["stray"], 1, "'stray' is not a valid flag"],
  [["---x"], 2, "bad flag syntax"],
  [["--=x"], 2, "bad flag syntax"],
  [["--name"], 2, "flag needs an argument: -name"],
  [["--pre-vote=maybe"], 2, "invalid boolean value"],
  [["--pre-vote=false"], 2, "-pre-vote=false is not supported"],
  [["--quota-backend-bytes=5120"], 2, "-quota-backend-bytes=5120 is not supported"],
  [["--logger=capnslog"], 2, "-logger=capnslog"],
  [["--initial-cluster-state=old"], 2, "new or existing"],
  [["--heartbeat-interval=0"], 2, "a whole number from 1"],
  [["--snapshot-count=1.5"], 2, "-snapshot-count"],
  [["--snapshot-count=-1"], 2, "-snapshot-count"],
  [["--election-timeout=300"], 1, "5 times"],
  [["--log-level=loud"], 1, "--log-level is one of"],
  [["--log-outputs=/tmp/x"], 2, "--log-outputs=/tmp/x"],
  [["--listen-client-urls=http://localhost:1"], 1, "--advertise-client-urls is required"],
  [["--listen-peer-urls=localhost:1"], 2, "scheme must be http"],
  [["--listen-peer-urls=::"], 2, "is not a URL"],
  [["--listen-peer-urls=https://localhost:1"], 2, "TLS is not supported"],
  [["--listen-peer-urls=http://localhost"], 2, "host:port"],
  [["--listen-peer-urls=http://localhost:1/x"], 2, "must not contain a path"],
  [["--initial-cluster=a"], 1, "not of the form name=URL"],
  [["--initial-cluster=a=http://localhost:2380"], 1, "couldn't find local name"],
  [["--initial-cluster=default=http://localhost:9"], 1, "they must be the same"],
  [["--initial-cluster=default=http://localhost:2380,b=http://localhost:2380"], 1, "given twice"],
  [["--watch-progress-notify-interval=soon"], 2, "a duration such as"],
])("%s is refused with exit code %i", (argv, exitCode, text) => {
  const refused = refusalOf(argv);
  expect(refused.exitCode).toBe(exitCode);
  expect(refused.message).toContain(text);
});

test("help names every flag", () => {
  for (const name of Object.keys(FLAGS)) if (name !== "h") expect(helpText()).toContain(`--${name}`);
});
