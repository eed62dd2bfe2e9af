import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { etcdClientContract } from "../clients/etcd.contract.ts";
import { bare, openInTemporary, processTargetContract, whole } from "./process-target.contract.ts";

describe("the process target on our store", () => {
  processTargetContract("reference");
});

describe("against three members of our store", () => {
  let opened: Awaited<ReturnType<typeof openInTemporary>> | undefined;
  const target = () => {
    if (opened === undefined) throw new Error("no cluster");
    return opened.target;
  };
  beforeAll(async () => {
    opened = await openInTemporary("reference");
    await opened.target.start({ ...bare, faultChannel: true });
    await whole(opened.target);
  });
  afterAll(async () => opened?.[Symbol.asyncDispose]());

  describe("the client", () => {
    etcdClientContract(target);
  });

  test("the fault channel slows a member's log and heals it", async () => {
    expect(target().has("fault-channel")).toBe(true);
    const channel = target().faultChannel?.("n1");
    if (channel === undefined) throw new Error("no fault channel");
    expect((await channel.request({ disk: "datasync", delayMs: 80 })).ok).toBe(true);
    expect((await channel.request({ probe: "datasync" })).elapsedMs).toBeGreaterThanOrEqual(80);
    expect((await channel.request({ disk: "heal" })).ok).toBe(true);
    expect((await channel.request({ probe: "datasync" })).elapsedMs).toBeLessThan(80);
  });
});

test("a member started without a fault channel has none", async () => {
  await using opened = await openInTemporary("reference", 1);
  await opened.target.start(bare);
  expect(() => opened.target.faultChannel?.("n1")).toThrow("n1 was not started with a fault channel");
});
