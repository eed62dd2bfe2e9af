import { spawnSync } from "node:child_process";
import { describe, test } from "vitest";
import { faultsOnStoreContract } from "./store.contract.ts";

const NAMES = [
  "kill",
  "pause",
  "partition-one",
  "partition-leader",
  "partition-majority",
  "latency-peer",
  "latency-client",
  "reset",
];

describe("faults on three members of etcd", () => {
  if (spawnSync("etcd", ["--version"]).error === undefined) faultsOnStoreContract("etcd", NAMES);
  else test("cannot be tried", (context) => context.skip("no etcd on PATH: apt-get install etcd-server"));
});
