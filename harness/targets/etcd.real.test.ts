import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { etcdClientContract } from "../clients/etcd.contract.ts";
import { connectEtcd } from "../clients/etcd.ts";
import { UsageError } from "../errors.ts";
import type { Target } from "../target.ts";
import { EndpointsTarget } from "./open.ts";
import { bare, openInTemporary, processTargetContract, whole } from "./process-target.contract.ts";

const absent = spawnSync("etcd", ["--version"]).error !== undefined;

beforeEach((context) => {
  if (absent) context.skip("no etcd on PATH: apt-get install etcd-server");
});

describe("the process target on the etcd of PATH", () => {
  processTargetContract("etcd");
});

describe("against three members of etcd", () => {
  let opened: Awaited<ReturnType<typeof openInTemporary>> | undefined;
  const target = (): Target => {
    if (opened === undefined) throw new Error("no cluster");
    return opened.target;
  };
  beforeAll(async () => {
    if (absent) return;
    opened = await openInTemporary("etcd");
    await opened.target.start(bare);
    await whole(opened.target);
  });
  afterAll(async () => opened?.[Symbol.asyncDispose]());

  describe("the client", () => {
    etcdClientContract(target);
  });

  describe("the endpoints target", () => {
    const endpoints = () => target().nodes.map((node) => `http://${node.directClientAddress}`);

    test("sees the members, can nothing, and reads what is there over several pages", async () => {
      await using elsewhere = new EndpointsTarget({ endpoints: endpoints(), clock: systemClock });
      await elsewhere.start();
      expect(
        ["processes", "links", "fault-channel", "watch", "lease"].map((capability) => elsewhere.has(capability)),
      ).toEqual([false, false, false, true, true]);
      expect((await elsewhere.view()).leader).toBe((await target().view()).leader);
      await using client = connectEtcd(elsewhere.endpoint("n2"), { clock: systemClock });
      const written = Array.from({ length: 1_203 }, (_, index) => `paged/${String(index).padStart(5, "0")}`);
      for (let from = 0; from < written.length; from += 100) {
        await client.invoke(
          {
            f: "txn",
            compare: [],
            success: written.slice(from, from + 100).map((key) => ({ f: "put", key, value: key })),
            failure: [],
          },
          new AbortController().signal,
        );
      }
      const { revision, kvs } = await elsewhere.initialState();
      expect(kvs.filter((kv) => kv.key.startsWith("paged/")).map((kv) => kv.value)).toEqual(written);
      expect(revision).toBeGreaterThan(12);
      expect(Object.values(await elsewhere.versions())).toEqual(
        Array.from({ length: 3 }, () => expect.stringMatching(/^etcd \d/)),
      );
    });

    test("an endpoint where nothing answers is named", async () => {
      await using elsewhere = new EndpointsTarget({
        endpoints: [...endpoints().slice(0, 1), "127.0.0.1:9"],
        clock: systemClock,
      });
      await expect(elsewhere.start()).rejects.toThrow(UsageError);
      await expect(elsewhere.start()).rejects.toThrow(/^no etcd answers at 127\.0\.0\.1:9 /);
    });
  });
});
