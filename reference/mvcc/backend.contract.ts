import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Backend, BackendFactory, BackendWrite, Bucket } from "./backend.ts";
import { DamagedSnapshot } from "./snapshot-stream.ts";

/** One place that backends can be opened at, again and again. */
export interface BackendPlace {
  readonly factory: BackendFactory;
  /** Loses power, if the place can: what was not flushed may be gone. The backend that was open is dead; the factory can open again. */
  crash?(): Promise<void>;
  dispose(): Promise<void>;
}

/** What every backend promises (`backend.ts`). Each test gets a place of its own. */
export function backendContract(name: string, makePlace: () => Promise<BackendPlace>): void {
  describe(`backend: ${name}`, () => {
    let place: BackendPlace;
    let backend: Backend;

    beforeEach(async () => {
      place = await makePlace();
      backend = await place.factory.open();
    });
    afterEach(async () => {
      await backend.close();
      await place.dispose();
    });

    async function reopen(): Promise<void> {
      await backend.close();
      backend = await place.factory.open();
    }

    test("a commit is seen as soon as commit returns", () => {
      backend.commit([put("meta", "a", "1"), put("meta", "b", "2")]);
      expect(text(backend.get("meta", bytes("a")))).toBe("1");
      expect(content(backend, "meta")).toEqual(["a=1", "b=2"]);
    });

    test("within a batch and between batches the last write of a key wins", async () => {
      backend.commit([put("meta", "a", "1"), put("meta", "a", "2"), put("meta", "b", "1"), remove("meta", "b")]);
      expect(content(backend, "meta")).toEqual(["a=2"]);
      await backend.commit([remove("meta", "a"), put("meta", "b", "3")]).flushed;
      expect(content(backend, "meta")).toEqual(["b=3"]);
      backend.commit([remove("meta", "b"), remove("meta", "never there")]);
      expect(backend.get("meta", bytes("b"))).toBeUndefined();
      expect(content(backend, "meta")).toEqual([]);
    });

    test("of commits on their way to the disk the newest is read", async () => {
      const flushes = ["1", "2", "3"].map((value) => {
        const { flushed } = backend.commit([put("meta", "a", value)]);
        expect(text(backend.get("meta", bytes("a")))).toBe(value);
        expect(content(backend, "meta")).toEqual([`a=${value}`]);
        return flushed;
      });
      backend.commit([remove("meta", "a")]);
      expect(backend.get("meta", bytes("a"))).toBeUndefined();
      await Promise.all(flushes);
      expect(content(backend, "meta")).toEqual([]);
    });

    test("buckets do not see each other", async () => {
      backend.commit([put("key", "a", "key"), put("meta", "a", "meta"), put("lease", "a", "lease")]);
      await backend.commit([put("alarm", "a", "alarm"), put("auth", "a", "auth"), put("members", "a", "members")])
        .flushed;
      backend.commit([remove("lease", "a")]);
      expect(content(backend, "key")).toEqual(["a=key"]);
      expect(content(backend, "members")).toEqual(["a=members"]);
      expect(content(backend, "lease")).toEqual([]);
    });

    test("an empty value is a value", async () => {
      await backend.commit([put("alarm", "a", "")]).flushed;
      await reopen();
      expect(text(backend.get("alarm", bytes("a")))).toBe("");
      expect(content(backend, "alarm")).toEqual(["a="]);
    });

    test("keys are ordered as bytes, zero and 0xff bytes too", async () => {
      const keys = [[0], [0, 0], [0, 1], [1], [0x7f], [0x80], [0xff], [0xff, 0], [0xff, 0xff]].map((key) =>
        Uint8Array.from(key),
      );
      const shuffled = [4, 0, 8, 2, 6, 1, 7, 3, 5].map((i) => keys[i] as Uint8Array);
      await backend.commit(shuffled.slice(0, 5).map((key) => ({ op: "put", bucket: "key", key, value: key }))).flushed;
      backend.commit(shuffled.slice(5).map((key) => ({ op: "put", bucket: "key", key, value: key })));
      expect([...backend.range("key", new Uint8Array(0), undefined)].map(([key]) => [...key])).toEqual(
        keys.map((key) => [...key]),
      );
      expect(
        [...backend.range("key", new Uint8Array(0), undefined, { reverse: true })].map(([key]) => [...key]),
      ).toEqual(keys.map((key) => [...key]).reverse());
    });

    for (const state of ["not flushed", "flushed", "half flushed"] as const) {
      test(`ranges are [start, end), forwards and backwards, with a limit: ${state}`, async () => {
        const first = backend.commit(["a", "c", "e"].map((key) => put("key", key, key)));
        if (state !== "not flushed") await first.flushed;
        const second = backend.commit(["b", "d", "f"].map((key) => put("key", key, key)));
        if (state === "flushed") await second.flushed;
        expect(keys("a", undefined)).toBe("abcdef");
        expect(keys("b", "e")).toBe("bcd");
        expect(keys("b", "e", { reverse: true })).toBe("dcb");
        expect(keys("bb", "ee")).toBe("cde");
        expect(keys("b", "f", { limit: 2 })).toBe("bc");
        expect(keys("b", "f", { limit: 2, reverse: true })).toBe("ed");
        expect(keys("b", "f", { limit: 0 })).toBe("");
        expect(keys("e", "b")).toBe("");
        expect(keys("g", undefined)).toBe("");
      });
    }

    function keys(start: string, end: string | undefined, options?: { limit?: number; reverse?: boolean }): string {
      return [...backend.range("key", bytes(start), end === undefined ? undefined : bytes(end), options)]
        .map(([key]) => text(key))
        .join("");
    }

    test("what was flushed is there after opening again; so is what was committed before a close", async () => {
      await backend.commit([put("meta", "a", "1")]).flushed;
      backend.commit([put("meta", "b", "2")]);
      await reopen();
      expect(content(backend, "meta")).toEqual(["a=1", "b=2"]);
    });

    test("a commit of nothing is flushed with what came before it", async () => {
      await backend.commit([]).flushed;
      const order: string[] = [];
      const first = backend.commit([put("meta", "a", "1")]).flushed.then(() => order.push("something"));
      await backend.commit([]).flushed.then(() => order.push("nothing"));
      await first;
      await backend.commit([]).flushed;
      expect(order).toEqual(["something", "nothing"]);
    });

    test("flushes keep the order of commits", async () => {
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          backend.commit([put("meta", "n", String(i))]).flushed.then(() => order.push(i)),
        ),
      );
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      await reopen();
      expect(text(backend.get("meta", bytes("n")))).toBe("49");
    });

    test("a value that is read stays as it was, whatever is written later", async () => {
      await backend.commit([put("meta", "a", "before")]).flushed;
      const read = backend.get("meta", bytes("a"));
      const [ranged] = [...backend.range("meta", bytes("a"), undefined)];
      await backend.commit([put("meta", "a", "after!")]).flushed;
      backend.get("meta", bytes("a"));
      expect(text(read)).toBe("before");
      expect(text(ranged?.[1])).toBe("before");
    });

    test("a snapshot is the state of its moment, and restores to an equal backend", async () => {
      await backend.commit([put("meta", "a", "1"), put("key", "k", "x".repeat(300_000)), put("key", "gone", "")])
        .flushed;
      backend.commit([put("lease", "l", "2"), remove("key", "gone")]);
      const stream = backend.snapshot();
      const iterator = stream[Symbol.asyncIterator]();
      const chunks = [await iterator.next()];
      await backend.commit([put("meta", "a", "later"), remove("key", "k"), put("key", "z", "later")]).flushed;
      while (chunks.at(-1)?.done !== true) chunks.push(await iterator.next());
      await backend.close();
      await place.factory.restore(streamOf(chunks.filter((c) => c.done !== true).map((c) => c.value)));
      backend = await place.factory.open();
      expect(content(backend, "meta")).toEqual(["a=1"]);
      expect(content(backend, "lease")).toEqual(["l=2"]);
      expect(content(backend, "key")).toEqual([`k=${"x".repeat(300_000)}`]);
      backend.commit([put("meta", "b", "2")]);
      expect(content(backend, "meta")).toEqual(["a=1", "b=2"]);
    });

    test.each([
      ["cut short", (whole: Buffer) => whole.subarray(0, whole.length - 1)],
      ["cut in the middle", (whole: Buffer) => whole.subarray(0, whole.length / 2)],
      ["empty", () => Buffer.alloc(0)],
      ["of another kind", () => Buffer.from("this is a letter to my aunt, not a snapshot")],
      ["flipped", (whole: Buffer) => Buffer.from(whole.map((byte, i) => (i === 40 ? byte ^ 1 : byte)))],
      ["too long", (whole: Buffer) => Buffer.concat([whole, Buffer.from("x")])],
    ])("a snapshot that is %s is refused, and the old content stays", async (_, spoil) => {
      await backend.commit([put("meta", "a", "1"), put("meta", "b", "long enough to flip")]).flushed;
      const whole = Buffer.concat(await collect(backend.snapshot()));
      await backend.close();
      await expect(place.factory.restore(streamOf([spoil(whole)]))).rejects.toThrow(DamagedSnapshot);
      backend = await place.factory.open();
      expect(content(backend, "meta")).toEqual(["a=1", "b=long enough to flip"]);
    });

    test("a snapshot may come in chunks of any size", async () => {
      await backend.commit([put("meta", "a", "1"), put("key", "k", "value")]).flushed;
      const whole = Buffer.concat(await collect(backend.snapshot()));
      await backend.close();
      await place.factory.restore(streamOf(Array.from(whole, (byte) => Uint8Array.of(byte))));
      backend = await place.factory.open();
      expect([...content(backend, "meta"), ...content(backend, "key")]).toEqual(["a=1", "k=value"]);
    });

    test("an empty backend is small: quotas of 53,248 bytes are used", async () => {
      await backend.commit([put("meta", "applied", "16 bytes or so..")]).flushed;
      const { allocated, inUse } = backend.sizeBytes();
      expect(allocated).toBeLessThan(40_000);
      expect(inUse).toBeLessThanOrEqual(allocated);
      await backend.commit(Array.from({ length: 100 }, (_, i) => put("key", `key ${i}`, "x".repeat(1000)))).flushed;
      expect(backend.sizeBytes().allocated).toBeGreaterThan(100_000);
      expect(backend.sizeBytes().inUse).toBeGreaterThan(100_000);
    });

    test("after a crash the content is that of one commit, at or after the last flushed one", async ({ skip }) => {
      if (place.crash === undefined) return skip("this place cannot crash");
      let flushed = -1;
      for (let i = 0; i < 40; i++) {
        const commit = backend.commit([put("meta", "n", String(i)), put("key", `k${i}`, "v")]);
        if (i % 7 === 0) {
          await commit.flushed;
          flushed = i;
        }
      }
      await place.crash();
      backend = await place.factory.open();
      const last = Number(text(backend.get("meta", bytes("n"))));
      expect(last).toBeGreaterThanOrEqual(flushed);
      expect(content(backend, "key").length).toBe(last + 1);
    });
  });
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value, "latin1");
}

function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString("latin1");
}

function put(bucket: Bucket, key: string, value: string): BackendWrite {
  return { op: "put", bucket, key: bytes(key), value: bytes(value) };
}

function remove(bucket: Bucket, key: string): BackendWrite {
  return { op: "delete", bucket, key: bytes(key) };
}

function content(backend: Backend, bucket: Bucket): string[] {
  return [...backend.range(bucket, new Uint8Array(0), undefined)].map(([key, value]) => `${text(key)}=${text(value)}`);
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}
