import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { Toxiproxy, type Proxy } from "toxiproxy-node-client";
import type { ICreateToxicBody } from "toxiproxy-node-client/dist/interfaces.js";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

/** A server of Toxiproxy's API to hold to the contract. */
export interface ToxiproxyUnderTest extends AsyncDisposable {
  readonly apiUrl: string;
}

/** What a user of Toxiproxy 2 may rely on, driven by the client that users have. Runs on ours and on the original. */
export function toxiproxyContract(name: string, start: () => Promise<ToxiproxyUnderTest>): void {
  describe(name, () => {
    let server: ToxiproxyUnderTest;
    let client: Toxiproxy;
    let counter = 0;
    beforeAll(async () => {
      server = await start();
      client = new Toxiproxy(server.apiUrl);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    const api = (method: string, path: string, body?: unknown) =>
      fetch(server.apiUrl + path, {
        method,
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });

    /** A proxy of its own for a test, in front of a server that echoes. */
    async function proxied(onSocket: (socket: Socket) => void = (socket) => socket.pipe(socket)): Promise<Proxy> {
      const upstream = await listen(onSocket);
      const proxy = await client.createProxy({ name: `p${++counter}`, listen: "127.0.0.1:0", upstream });
      onTestFinished(() => proxy.remove().catch(() => undefined));
      return proxy;
    }

    describe("proxies", () => {
      test("a created proxy has its real port, passes bytes both ways, and is gone after DELETE", async () => {
        const proxy = await proxied();
        expect(proxy.listen).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
        expect(proxy.enabled).toBe(true);
        expect(await roundTrip(proxy.listen, "hello")).toBe("hello");
        expect((await client.get(proxy.name)).toJson()).toEqual(proxy.toJson());
        expect(Object.keys(await client.getAll())).toContain(proxy.name);
        await proxy.remove();
        expect((await api("GET", `/proxies/${proxy.name}`)).status).toBe(404);
        await expect(dial(proxy.listen)).rejects.toThrow("ECONNREFUSED");
      });

      test("a megabyte each way arrives whole and in order", async () => {
        const proxy = await proxied();
        const sent = Buffer.from(Uint32Array.from({ length: 1 << 18 }, (_, i) => i).buffer);
        const socket = await dial(proxy.listen);
        const received = collect(socket, sent.length);
        socket.write(sent);
        expect((await received).equals(sent)).toBe(true);
        socket.destroy();
      });

      test("a disabled proxy drops its connections and refuses new ones, and comes back on the same port", async () => {
        const proxy = await proxied();
        const socket = await dial(proxy.listen);
        const closed = once(socket, "close");
        const { listen: at, upstream } = proxy;
        expect((await proxy.update({ enabled: false, listen: at, upstream })).enabled).toBe(false);
        socket.resume();
        await closed;
        await expect(dial(at)).rejects.toThrow("ECONNREFUSED");
        expect((await proxy.update({ enabled: true, listen: at, upstream })).listen).toBe(at);
        expect(await roundTrip(at, "back")).toBe("back");
      });

      test("a proxy can be switched off while a client does not read what it is sent", async () => {
        const proxy = await proxied((socket) => socket.write(Buffer.alloc(32 * 1024 * 1024)));
        const socket = await dial(proxy.listen);
        socket.pause();
        await wait(100);
        expect((await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream })).enabled).toBe(
          false,
        );
        socket.destroy();
      });

      test("a new upstream is used by the next connection", async () => {
        const proxy = await proxied();
        const other = await listen((socket) => socket.end("other"));
        await proxy.update({ enabled: true, listen: proxy.listen, upstream: other });
        expect(await text(await dial(proxy.listen))).toBe("other");
      });

      test("without anybody at the upstream, the client's connection is closed", async () => {
        const proxy = await client.createProxy({
          name: `p${++counter}`,
          listen: "127.0.0.1:0",
          upstream: "127.0.0.1:1",
        });
        const socket = await dial(proxy.listen);
        expect(await ending(socket)).toBe("closed");
        await proxy.remove();
      });

      test("populate makes, keeps and replaces", async () => {
        const upstream = await listen((socket) => socket.pipe(socket));
        const body = { name: `p${++counter}`, listen: "127.0.0.1:0", upstream };
        const first = Object.values(await client.populate([body]))[0];
        expect(first?.enabled).toBe(true);
        const same = Object.values(await client.populate([{ ...body, listen: first?.listen ?? "" }]))[0];
        expect(same?.listen).toBe(first?.listen);
        const replaced = await api("POST", "/populate", [{ ...body, upstream: "127.0.0.1:1", enabled: false }]);
        expect(replaced.status).toBe(201);
        expect(await replaced.json()).toMatchObject({ proxies: [{ upstream: "127.0.0.1:1", enabled: false }] });
        expect((await api("DELETE", `/proxies/${body.name}`)).status).toBe(204);
      });

      test("reset removes toxics and enables proxies", async () => {
        const proxy = await proxied();
        await proxy.addToxic(toxic("latency", { latency: 10_000, jitter: 0 }));
        await proxy.update({ enabled: false, listen: proxy.listen, upstream: proxy.upstream });
        await client.reset();
        expect((await client.get(proxy.name)).enabled).toBe(true);
        expect(await (await api("GET", `/proxies/${proxy.name}/toxics`)).json()).toEqual([]);
        expect(await roundTrip(proxy.listen, "quick")).toBe("quick");
      });
    });

    describe("wrong requests get Toxiproxy's status and sentence", () => {
      const cases: readonly [string, string, unknown, number, string][] = [
        ["GET", "/proxies/nobody", undefined, 404, "proxy not found"],
        ["DELETE", "/proxies/nobody", undefined, 404, "proxy not found"],
        ["POST", "/proxies/nobody", {}, 404, "proxy not found"],
        ["POST", "/proxies/nobody/toxics", {}, 404, "proxy not found"],
        ["POST", "/proxies", { upstream: "127.0.0.1:1" }, 400, "missing required field: name"],
        ["POST", "/proxies", { name: "x" }, 400, "missing required field: upstream"],
        ["POST", "/proxies", "{", 400, "bad request body: "],
        ["POST", "/proxies", { name: 7, upstream: "127.0.0.1:1" }, 400, "bad request body: "],
        ["POST", "/proxies", { name: "x", upstream: "127.0.0.1:1", listen: "127.0.0.1:99999" }, 500, ""],
        ["POST", "/proxies", { name: "fixed", upstream: "127.0.0.1:1" }, 409, "proxy already exists"],
        ["POST", "/populate", [{ name: "x" }], 400, "missing required field: upstream at proxy 1"],
        ["POST", "/populate", {}, 400, "bad request body: "],
        ["POST", "/proxies/fixed/toxics", { type: "gremlin" }, 400, "invalid toxic type"],
        [
          "POST",
          "/proxies/fixed/toxics",
          { type: "latency", stream: "sideways" },
          400,
          "stream was invalid, can be either upstream or downstream",
        ],
        [
          "POST",
          "/proxies/fixed/toxics",
          { type: "latency", attributes: { latency: "long" } },
          400,
          "bad request body: ",
        ],
        ["POST", "/proxies/fixed/toxics", { type: "latency", attributes: { latency: 1.5 } }, 400, "bad request body: "],
        ["POST", "/proxies/fixed/toxics", { type: "latency", name: "slow" }, 409, "toxic already exists"],
        ["GET", "/proxies/fixed/toxics/none", undefined, 404, "toxic not found"],
        ["POST", "/proxies/fixed/toxics/none", {}, 404, "toxic not found"],
        ["DELETE", "/proxies/fixed/toxics/none", undefined, 404, "toxic not found"],
      ];
      beforeAll(async () => {
        await api("POST", "/proxies", { name: "fixed", upstream: "127.0.0.1:1", listen: "127.0.0.1:0" });
        await api("POST", "/proxies/fixed/toxics", { type: "latency", name: "slow" });
      });
      afterAll(() => api("DELETE", "/proxies/fixed"));

      test.each(cases)("%s %s %j", async (method, path, body, status, sentence) => {
        const response = await api(method, path, body);
        expect(response.status).toBe(status);
        const answer = (await response.json()) as { error: string; status: number };
        expect(answer.status).toBe(status);
        expect(answer.error.startsWith(sentence), answer.error).toBe(true);
      });

      test("a port in use, an unknown path, a wrong method, a web page", async () => {
        const taken = await api("POST", "/proxies", {
          name: "x",
          upstream: "127.0.0.1:1",
          listen: new URL(server.apiUrl).host,
        });
        expect(taken.status).toBe(500);
        expect(await taken.text()).toContain("address already in use");
        expect((await api("GET", "/nothing")).status).toBe(404);
        expect((await api("DELETE", "/populate")).status).toBe(405);
        expect((await fetch(`${server.apiUrl}/version`, { headers: { "User-Agent": "Mozilla/5.0" } })).status).toBe(
          403,
        );
      });

      test("version and metrics", async () => {
        expect(JSON.parse(await client.getVersion())).toEqual({
          version: expect.stringMatching(/^(2\.\d+\.\d+|git)/) as string,
        });
        const proxy = await proxied();
        await roundTrip(proxy.listen, "counted");
        await expect
          .poll(async () => (await api("GET", "/metrics")).text())
          .toContain(`proxy="${proxy.name}",upstream="${proxy.upstream}"} 7`);
      });
    });

    describe("toxics", () => {
      test("are made with defaults, listed, updated, removed", async () => {
        const proxy = await proxied();
        const made = await api("POST", `/proxies/${proxy.name}/toxics`, {
          type: "latency",
          attributes: { latency: 7 },
        });
        const expected = {
          name: "latency_downstream",
          type: "latency",
          stream: "downstream",
          toxicity: 1,
          attributes: { latency: 7, jitter: 0 },
        };
        expect(await made.json()).toEqual(expected);
        await proxy.addToxic({ ...toxic("bandwidth", { rate: 1000 }, "upstream"), toxicity: 0.5 });
        const listed = (await (await api("GET", `/proxies/${proxy.name}`)).json()) as { toxics: { name: string }[] };
        expect(listed.toxics.map((one) => one.name)).toEqual(["bandwidth_upstream", "latency_downstream"]);
        const patched = await api("PATCH", `/proxies/${proxy.name}/toxics/latency_downstream`, {
          attributes: { jitter: 2 },
        });
        expect(await patched.json()).toEqual({ ...expected, attributes: { latency: 7, jitter: 2 } });
        expect((await api("DELETE", `/proxies/${proxy.name}/toxics/latency_downstream`)).status).toBe(204);
        expect(await (await api("GET", `/proxies/${proxy.name}/toxics`)).json()).toHaveLength(1);
      });

      test("latency delays both streams, on connections that are already there too, and stops at removal", async () => {
        const proxy = await proxied();
        const socket = await dial(proxy.listen);
        expect(await timed(() => exchange(socket, "a"))).toBeLessThan(100);
        const down = await proxy.addToxic(toxic("latency", { latency: 150, jitter: 0 }));
        expect(await timed(() => exchange(socket, "b"))).toBeGreaterThan(145);
        const up = await proxy.addToxic(toxic("latency", { latency: 100, jitter: 0 }, "upstream"));
        expect(await timed(() => exchange(socket, "c"))).toBeGreaterThan(240);
        await down.update({ ...down.toJson(), attributes: { latency: 0, jitter: 0 } });
        const lowered = await timed(() => exchange(socket, "d"));
        expect(lowered).toBeGreaterThan(95);
        expect(lowered).toBeLessThan(200);
        await down.remove();
        await up.remove();
        expect(await timed(() => exchange(socket, "e"))).toBeLessThan(100);
        socket.destroy();
      });

      test("toxicity 0 spares every connection", async () => {
        const proxy = await proxied();
        await proxy.addToxic({ ...toxic("latency", { latency: 5000, jitter: 0 }), toxicity: 0 });
        expect(await timed(() => roundTrip(proxy.listen, "spared"))).toBeLessThan(1000);
      });

      test("bandwidth takes as long as the rate says", async () => {
        const proxy = await proxied((socket) => socket.end(Buffer.alloc(60_000)));
        await proxy.addToxic(toxic("bandwidth", { rate: 200 }));
        const socket = await dial(proxy.listen);
        const ms = await timed(async () => expect(await collect(socket, 60_000)).toHaveLength(60_000));
        expect(ms).toBeGreaterThan(200);
        expect(ms).toBeLessThan(900);
      });

      test("timeout swallows the data and closes; with 0 it stays open until removed", async () => {
        const proxy = await proxied();
        const lasting = await proxy.addToxic(toxic("timeout", { timeout: 0 }));
        const silent = await dial(proxy.listen);
        silent.write("lost");
        await expect(Promise.race([ending(silent), wait(150)])).resolves.toBe("waited");
        await lasting.remove();
        expect(await ending(silent)).toBe("closed");
        await proxy.addToxic(toxic("timeout", { timeout: 80 }));
        const socket = await dial(proxy.listen);
        expect(await timed(async () => expect(await ending(socket)).toBe("closed"))).toBeGreaterThan(70);
      });

      test("reset_peer resets with the first bytes", async () => {
        const proxy = await proxied();
        await proxy.addToxic(toxic("reset_peer", { timeout: 50 }));
        const socket = await dial(proxy.listen);
        socket.write("x");
        expect(await timed(async () => expect(await ending(socket)).toBe("ECONNRESET"))).toBeGreaterThan(45);
      });

      test("limit_data closes after so many bytes", async () => {
        const proxy = await proxied((socket) => socket.write(Buffer.alloc(5000, "x")));
        await proxy.addToxic(toxic("limit_data", { bytes: 3000 }));
        expect(await text(await dial(proxy.listen))).toHaveLength(3000);
      });

      test("slicer passes the same bytes in pieces", async () => {
        const content = Array.from({ length: 3000 }, (_, i) => String(i % 10)).join("");
        const proxy = await proxied((socket) => socket.end(content));
        await proxy.addToxic(toxic("slicer", { average_size: 500, size_variation: 100, delay: 10_000 }));
        const socket = await dial(proxy.listen);
        const ms = await timed(async () => expect(await text(socket)).toBe(content));
        expect(ms).toBeGreaterThan(35);
      });

      test("slow_close holds the end back, not the bytes", async () => {
        const proxy = await proxied((socket) => socket.end("bye"));
        await proxy.addToxic(toxic("slow_close", { delay: 200 }));
        const socket = await dial(proxy.listen);
        const start = performance.now();
        expect((await collect(socket, 3)).toString()).toBe("bye");
        expect(performance.now() - start).toBeLessThan(150);
        await ending(socket);
        expect(performance.now() - start).toBeGreaterThan(190);
      });

      test("toxics in a row add up, and what a removed one held goes on in order", async () => {
        const proxy = await proxied();
        const first = await proxy.addToxic({ ...toxic("latency", { latency: 100, jitter: 0 }), name: "one" });
        await proxy.addToxic({ ...toxic("latency", { latency: 100, jitter: 0 }), name: "two" });
        const socket = await dial(proxy.listen);
        expect(await timed(() => exchange(socket, "x"))).toBeGreaterThan(190);
        const received = collect(socket, 20);
        for (const part of ["01234", "56789", "abcde"]) {
          socket.write(part);
          await wait(10);
        }
        await first.remove();
        socket.write("fghij");
        expect((await received).toString()).toBe("0123456789abcdefghij");
        socket.destroy();
      });
    });
  });
}

function toxic<T>(
  type: ICreateToxicBody<T>["type"],
  attributes: T,
  stream: "upstream" | "downstream" = "downstream",
): ICreateToxicBody<T> {
  return { name: "", type, stream, toxicity: 1, attributes };
}

/** A server on a free port for the length of the test; returns its address. */
async function listen(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function dial(address: string): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port: Number(address.split(":")[1]) });
  await once(socket, "connect");
  return socket;
}

async function collect(socket: Socket, sizeBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size < sizeBytes) return;
      socket.off("data", onData);
      socket.pause();
      resolve(Buffer.concat(chunks));
    };
    socket.on("data", onData);
    // Paused by the last collect: a listener alone would not make it flow again.
    socket.resume();
    socket.once("error", reject);
    socket.once("close", () => reject(new Error(`closed after ${size} of ${sizeBytes} bytes`)));
  });
}

async function exchange(socket: Socket, words: string): Promise<string> {
  const received = collect(socket, words.length);
  socket.write(words);
  return (await received).toString();
}

async function roundTrip(address: string, words: string): Promise<string> {
  const socket = await dial(address);
  const answer = await exchange(socket, words);
  socket.destroy();
  return answer;
}

/** How a connection ended: closed, or with which error. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve("closed"));
    socket.resume();
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function wait(ms: number): Promise<"waited"> {
  return new Promise((resolve) => setTimeout(() => resolve("waited"), ms));
}
