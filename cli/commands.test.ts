import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isUsageError } from "../harness/errors.ts";
import { parseAndRun } from "./commands.ts";

async function refusalOf(...argv: string[]): Promise<string> {
  const error: unknown = await parseAndRun(argv).then(
    (code) => new Error(`it ran, with exit code ${code}`),
    (reason: unknown) => reason,
  );
  expect(isUsageError(error), String(error)).toBe(true);
  const message = (error as Error).message;
  expect(message).not.toContain("\n");
  return message;
}

test.for<[argv: string[], says: RegExp]>([
  [[], /no command was given/],
  [["sail"], /unknown command 'sail'/],
  [["run", "--speed", "9"], /unknown option '--speed'/],
  [["run", "--raet", "9"], /unknown option '--raet' \(Did you mean --rate\?\)/],
  [["run", "--seed"], /option '--seed <n>' argument missing/],
  [["run", "--seed", "-1"], /--seed/],
  [["run", "--seed", "one"], /--seed 'one' is not a whole number from 0/],
  [["run", "--seed", "9007199254740993"], /--seed/],
  [["run", "--nodes", "0"], /--nodes '0' is not a whole number from 1 to 9/],
  [["run", "--nodes", "3.5"], /--nodes '3\.5'/],
  [["run", "--duration", "30"], /--duration '30' is not a duration; write a number with its unit/],
  [["run", "--duration", "0s"], /--duration '0s'/],
  [["run", "--duration", "-3s"], /--duration/],
  [["run", "--rate", "0"], /--rate '0' is not a number above 0/],
  [["run", "--rate", "fast"], /--rate 'fast'/],
  [["run", "--faults", "kill,,pause"], /--faults 'kill,,pause' has an empty part/],
  [["run", "etcd/nothing", "--target", "etcd"], /no suite 'etcd\/nothing'; there is etcd\/kv/],
  [["run", "etcd/kv", "--all"], /--all and the suites etcd\/kv exclude each other/],
  [["run", "--target", "endpoints"], /--target endpoints needs --endpoints/],
  [["run", "--target", "etcd", "--endpoints", "127.0.0.1:1"], /--endpoints is for --target endpoints/],
  [["run", "--endpoints", ","], /--endpoints ',' has an empty part/],
  [["run", "--target", "simulation", "--faults", "kill"], /no fault 'kill'; there is power-loss/],
  [["run", "--target", "simulation", "--endpoints", "127.0.0.1:1"], /--endpoints is for --target endpoints/],
  [["run", "--target", "simulation", "--plant", "nothing"], /no planted bug 'nothing'; there is /],
  [["run", "--plant", "ack-before-fsync"], /--plant is for --target simulation, not for --target reference/],
  [["replay"], /missing required argument 'run'/],
  [["replay", "/nowhere/at/all"], /is not a run: it has no run\.json/],
  [["replay", "x", "--until-fails", "0"], /--until-fails '0'/],
  [["report", "/nowhere/at/all"], /is not a run/],
  [["report", "a", "b"], /too many arguments/],
  [["check"], /missing required argument 'file'/],
  [["list", "--yaml"], /unknown option '--yaml'/],
  [["up", "--stores", "many"], /--stores 'many'/],
  [["up", "--dir", "/dev/null/x"], /--dir \/dev\/null\/x cannot be made/],
  [["clean", "/nowhere/at/all"], /\/nowhere\/at\/all cannot be read \(ENOENT\)/],
])("%j is refused", async ([argv, says]) => {
  expect(await refusalOf(...argv)).toMatch(says);
});

test.for<[name: string, argv: string[], says: RegExp]>([
  ["a target that is not there", ["--target", "/nowhere/etcd"], /\/nowhere\/etcd does not exist/],
  ["a target that nobody knows", ["--target", "zookeeper"], /no target "zookeeper"/],
  ["a target that is no etcd", ["--target", "/bin/true"], /does not print "etcd Version/],
  ["an endpoint that is no address", ["--endpoints", "nonsense"], /"nonsense" is no address/],
  ["an endpoint on another machine", ["--endpoints", "192.0.2.1:2379"], /not on this machine/],
  [
    "faults on a cluster that is not ours",
    ["--endpoints", "127.0.0.1:1", "--faults", "kill"],
    /fault '[\w/-]*kill' cannot be had here/,
  ],
  [
    "an endpoint where nobody listens",
    ["--endpoints", "127.0.0.1:1", "--faults", "none"],
    /no etcd answers at 127\.0\.0\.1:1/,
  ],
])("%s is refused, and leaves no run behind", async ([, argv, says]) => {
  const out = mkdtempSync(join(tmpdir(), "seatrial-cli-"));
  try {
    expect(await refusalOf("run", "etcd/kv", "--out", out, ...argv)).toMatch(says);
    expect(readdirSync(out)).toEqual([]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
});

test("a folder that cannot be written is refused before anything starts", async () => {
  expect(await refusalOf("run", "etcd/kv", "--target", "etcd", "--faults", "none", "--out", "/dev/null/runs")).toMatch(
    /run directory \/dev\/null\/runs\/.* cannot be written \(ENOTDIR\)/,
  );
});
