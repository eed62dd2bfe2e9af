import type { EtcdInput, EtcdOutput, WatchInput, WatchMessage } from "knossos-ts";
import { expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { StreamBroken } from "../client.ts";
import type { EtcdClient } from "../suite.ts";
import { withDeadline } from "../targets/deadline.ts";
import { connectEtcd } from "./etcd.ts";

/** What the suite needs of a running cluster of three. */
export interface ClusterUnderTest {
  endpoint(node: string): string;
}

const never = new AbortController().signal;

/** Every operation of the client against a real server. `cluster` is asked when a test runs. */
export function etcdClientContract(cluster: () => ClusterUnderTest): void {
  const on = async (node: string, work: (client: EtcdClient) => Promise<void>) => {
    await using client = connectEtcd(cluster().endpoint(node), { clock: systemClock });
    await work(client);
  };
  let fresh = 0;
  const prefix = () => `client-${fresh++}/`;

  test("a put, a read, a delete: revisions go up by one", async () => {
    await on("n1", async (client) => {
      const key = `${prefix()}a`;
      const put = await ok(client, { f: "put", key, value: "1" });
      const again = await ok(client, { f: "put", key, value: "2", prevKv: true });
      const { revision } = put;
      expect(again).toEqual({
        f: "put",
        revision: revision + 1,
        prevKv: { key, value: "1", createRevision: revision, modRevision: revision, version: 1 },
      });
      const kv = { key, value: "2", createRevision: revision, modRevision: revision + 1, version: 2 };
      expect(await ok(client, { f: "range", key })).toEqual({
        f: "range",
        revision: revision + 1,
        kvs: [kv],
        count: 1,
        more: false,
      });
      expect(await ok(client, { f: "range", key, revision })).toMatchObject({ kvs: [{ value: "1" }] });
      expect(await ok(client, { f: "delete", key, prevKv: true })).toEqual({
        f: "delete",
        revision: revision + 2,
        deleted: 1,
        prevKvs: [kv],
      });
      expect(await ok(client, { f: "delete", key })).toEqual({ f: "delete", revision: revision + 2, deleted: 0 });
    });
  });

  test("a read through another member sees the write", async () => {
    const key = `${prefix()}a`;
    await on("n2", async (client) => void (await ok(client, { f: "put", key, value: "x" })));
    await on("n3", async (client) =>
      expect(await ok(client, { f: "range", key })).toMatchObject({ kvs: [{ key, value: "x" }] }),
    );
  });

  test("a range honours limit, sort, counts and revision bounds", async () => {
    await on("n1", async (client) => {
      const at = prefix();
      const range = { f: "range", key: at, rangeEnd: endOf(at) } as const;
      const revisions: number[] = [];
      for (const key of ["b", "a", "c"])
        revisions.push((await ok(client, { f: "put", key: at + key, value: key })).revision);
      const keys = async (input: EtcdInput) => kvsOf(await ok(client, input)).map((kv) => kv.key.slice(at.length));
      expect(await keys(range)).toEqual(["a", "b", "c"]);
      expect(await keys({ ...range, sort: { target: "mod", order: "descend" } })).toEqual(["c", "a", "b"]);
      expect(await keys({ ...range, minModRevision: revisions[1] ?? 0, maxModRevision: revisions[1] ?? 0 })).toEqual([
        "a",
      ]);
      expect(await ok(client, { ...range, limit: 2 })).toMatchObject({ count: 3, more: true });
      expect(await ok(client, { ...range, countOnly: true })).toMatchObject({ kvs: [], count: 3, more: false });
      expect(kvsOf(await ok(client, { ...range, keysOnly: true, serializable: true })).map((kv) => kv.value)).toEqual([
        "",
        "",
        "",
      ]);
    });
  });

  test("a txn takes the branch that its compares say, nested too", async () => {
    await on("n1", async (client) => {
      const key = `${prefix()}a`;
      const create: EtcdInput = {
        f: "txn",
        compare: [{ key, target: "version", result: "=", operand: 0 }],
        success: [{ f: "put", key, value: "1" }],
        failure: [{ f: "range", key }],
      };
      expect(await ok(client, create)).toMatchObject({ succeeded: true, answers: [{ f: "put" }] });
      expect(await ok(client, create)).toMatchObject({
        succeeded: false,
        answers: [{ f: "range", kvs: [{ key, value: "1" }] }],
      });
      const nested: EtcdInput = {
        f: "txn",
        compare: [{ key, target: "value", result: "=", operand: "1" }],
        success: [
          { ...create, f: "txn" },
          { f: "delete", key: `${key}b` },
        ],
        failure: [],
      };
      expect(await ok(client, nested)).toMatchObject({
        succeeded: true,
        answers: [
          { f: "txn", succeeded: false, answers: [{ f: "range" }] },
          { f: "delete", deleted: 0 },
        ],
      });
    });
  });

  test("a lease holds its keys until it is revoked", async () => {
    await on("n1", async (client) => {
      const key = `${prefix()}a`;
      const id = String(7_000_000_000_000_000_000n + BigInt(fresh));
      expect(await ok(client, { f: "lease-grant", id, ttlSeconds: 30 })).toMatchObject({ id, ttlSeconds: 30 });
      await ok(client, { f: "put", key, value: "1", lease: id });
      expect(kvsOf(await ok(client, { f: "range", key }))[0]?.lease).toBe(id);
      expect(await ok(client, { f: "lease-keepalive", id })).toMatchObject({ ttlSeconds: 30 });
      expect(await ok(client, { f: "lease-time-to-live", id, keys: true })).toMatchObject({
        grantedSeconds: 30,
        keys: [key],
      });
      expect(await client.invoke({ f: "lease-grant", id, ttlSeconds: 30 }, never)).toMatchObject({
        type: "fail",
        error: { code: "FAILED_PRECONDITION", definite: true },
      });
      await ok(client, { f: "lease-revoke", id });
      expect(kvsOf(await ok(client, { f: "range", key }))).toEqual([]);
      expect(await ok(client, { f: "lease-keepalive", id })).toMatchObject({ ttlSeconds: 0 });
      expect(await ok(client, { f: "lease-time-to-live", id })).toMatchObject({ ttlSeconds: -1 });
    });
  });

  test.each<[string, EtcdInput, string]>([
    ["an empty key", { f: "put", key: "", value: "" }, "INVALID_ARGUMENT"],
    ["a lease that is not there", { f: "put", key: "k", value: "v", lease: "4711" }, "NOT_FOUND"],
    ["a revocation of a lease that is not there", { f: "lease-revoke", id: "4711" }, "NOT_FOUND"],
    [
      "the same key put twice",
      {
        f: "txn",
        compare: [],
        success: [
          { f: "put", key: "k", value: "1" },
          { f: "put", key: "k", value: "2" },
        ],
        failure: [],
      },
      "INVALID_ARGUMENT",
    ],
    ["a future revision", { f: "range", key: "k", revision: 1_000_000 }, "OUT_OF_RANGE"],
    ["a compaction of the future", { f: "compact", revision: 1_000_000 }, "OUT_OF_RANGE"],
    [
      "a kept value of a key that is not there",
      { f: "put", key: "not-there", value: "", ignoreValue: true },
      "INVALID_ARGUMENT",
    ],
  ])("%s is refused for certain", async (_, input, code) => {
    await on("n2", async (client) =>
      expect(await client.invoke(input, never)).toMatchObject({ type: "fail", error: { code, definite: true } }),
    );
  });

  test("a given-up write is in doubt, a given-up read is a fail, and neither rejects", async () => {
    await on("n1", async (client) => {
      await ok(client, { f: "put", key: "warm", value: "" });
      const giveUp = (input: EtcdInput) => {
        const now = new AbortController();
        const outcome = client.invoke(input, now.signal);
        now.abort(new Error("no answer within 0 ms"));
        return outcome;
      };
      expect(await giveUp({ f: "put", key: "late", value: "" })).toEqual({
        type: "info",
        error: { code: "DEADLINE_EXCEEDED", message: "no answer within 0 ms", definite: false },
      });
      expect(await giveUp({ f: "range", key: "late" })).toMatchObject({
        type: "fail",
        error: { code: "DEADLINE_EXCEEDED" },
      });
      expect(await giveUp({ f: "lease-keepalive", id: "1" })).toMatchObject({
        type: "info",
        error: { code: "DEADLINE_EXCEEDED" },
      });
      const bored = new AbortController();
      const outcome = client.invoke({ f: "put", key: "late", value: "" }, bored.signal);
      bored.abort();
      expect(await outcome).toMatchObject({ type: "info", error: { code: "CANCELLED" } });
      expect(await client.invoke({ f: "put", key: "late", value: "" }, AbortSignal.abort())).toMatchObject({
        type: "fail",
        error: { code: "NOT_SENT" },
      });
    });
  });

  test("a watch tells what was written, filtered, with the pair before", async () => {
    await on("n1", async (client) => {
      const at = prefix();
      // Their own revisions, not counted on from the first: a write that an earlier test gave up may come in between.
      const { revision } = await ok(client, { f: "put", key: `${at}a`, value: "1" });
      const second = await ok(client, { f: "put", key: `${at}a`, value: "2" });
      const third = await ok(client, { f: "delete", key: `${at}a` });
      const seen = await messages(
        client,
        { f: "watch", key: at, rangeEnd: endOf(at), startRevision: revision, prevKv: true },
        3,
      );
      expect(seen.map((event) => [event.type, event.kv.modRevision, event.prevKv?.value])).toEqual([
        ["put", revision, undefined],
        ["put", second.revision, "1"],
        ["delete", third.revision, "2"],
      ]);
      const deletes = await messages(
        client,
        { f: "watch", key: at, rangeEnd: endOf(at), startRevision: revision, noPut: true },
        1,
      );
      expect(deletes.map((event) => event.type)).toEqual(["delete"]);
    });
  });

  test("a watch sees writes that come after it, and ends quietly when it is given up", async () => {
    await on("n3", async (client) => {
      const at = prefix();
      const over = new AbortController();
      const seen: WatchMessage[] = [];
      for await (const message of client.open({ f: "watch", key: at, rangeEnd: endOf(at) }, over.signal)) {
        seen.push(message);
        if (message.created === true) await ok(client, { f: "put", key: `${at}a`, value: "1" });
        if (message.events.length > 0) over.abort();
      }
      expect(seen.map((message) => [message.created ?? false, message.events.length])).toEqual([
        [true, 0],
        [false, 1],
      ]);
    });
  });

  test("a watch from behind the compaction is canceled and says where the compaction is", async () => {
    await on("n1", async (client) => {
      const key = `${prefix()}a`;
      await ok(client, { f: "put", key, value: "1" });
      const { revision } = await ok(client, { f: "put", key, value: "2" });
      await ok(client, { f: "compact", revision, physical: true });
      expect(await client.invoke({ f: "compact", revision }, never)).toMatchObject({
        type: "fail",
        error: { code: "OUT_OF_RANGE" },
      });
      expect(await client.invoke({ f: "range", key, revision: revision - 1 }, never)).toMatchObject({
        type: "fail",
        error: { code: "OUT_OF_RANGE" },
      });
      const seen: WatchMessage[] = [];
      for await (const message of client.open({ f: "watch", key, startRevision: 1 }, never)) seen.push(message);
      expect(seen.map((message) => message.created ?? false)).toEqual([true, false]);
      expect(seen.at(-1)).toMatchObject({ canceled: true, compactRevision: revision });
    });
  });

  test("a client that was closed sends nothing more, and its watch breaks", async () => {
    const client = connectEtcd(cluster().endpoint("n1"), { clock: systemClock });
    const watching = (async () => {
      for await (const message of client.open({ f: "watch", key: "closing" }, never))
        if (message.created === true) await client[Symbol.asyncDispose]();
    })();
    await expect(watching).rejects.toBeInstanceOf(StreamBroken);
    expect(await client.invoke({ f: "put", key: "closing", value: "" }, never)).toMatchObject({
      type: "fail",
      error: { code: "NOT_SENT" },
    });
  });
}

async function ok(client: EtcdClient, input: EtcdInput): Promise<EtcdOutput & { readonly revision: number }> {
  const outcome = await withDeadline(systemClock, 5_000, undefined, (signal) => client.invoke(input, signal));
  if (outcome.type !== "ok")
    throw new Error(`${input.f} ended with ${outcome.type} ${outcome.error.code}: ${outcome.error.message}`);
  const { revision } = outcome.output;
  if (revision === undefined) throw new Error(`${input.f} was answered without a revision`);
  return { ...outcome.output, revision };
}

function kvsOf(output: EtcdOutput) {
  if (output.f !== "range") throw new Error(`${output.f} is no range`);
  return output.kvs;
}

/** The first `count` events of a watch. */
async function messages(client: EtcdClient, input: WatchInput, count: number) {
  const events = [];
  for await (const message of client.open(input, never)) {
    events.push(...message.events);
    if (events.length >= count) break;
  }
  return events;
}

/** etcd's range end of a prefix. */
function endOf(at: string): string {
  return at.slice(0, -1) + String.fromCharCode(at.charCodeAt(at.length - 1) + 1);
}
