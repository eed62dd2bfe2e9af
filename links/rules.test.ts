import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import type { Rule } from "./rules.ts";
import { serveLinks } from "./server.ts";

const STREAM = "GET /raft/stream/message/1 HTTP/1.1\r\nHost: x\r\nX-Server-From: 8e9e05c52164694d\r\n\r\n";
const POST = "POST /raft HTTP/1.1\r\nX-Server-From: 8E9E05C52164694D\r\nContent-Length: 3\r\n\r\nabc";
const PROBE = "GET /raft/probing HTTP/1.1\r\nHost: x\r\n\r\n";

/** One peer proxy in front of a server that answers every chunk with its length. */
async function world() {
  let receivedBytes = 0;
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      receivedBytes += data.length;
      socket.write(String(data.length));
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const upstream = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const links = await serveLinks({
    proxies: [{ name: "peer-n1", upstream }],
    clock: systemClock,
    random: seededRandom(1),
  });
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await links.stop();
  });
  const api = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(links.apiUrl + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, json: (text === "" ? undefined : JSON.parse(text)) as Record<string, unknown> };
  };
  const cut = (more: object = {}) => api("POST", "/rules", { proxy: "peer-n1", from: "8e9e05c52164694d", ...more });
  const rules = async () => (await api("GET", "/rules")).json as unknown as Rule[];
  const dial = async () => {
    const socket = connect(Number(links.addresses["peer-n1"]?.split(":")[1]), "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };
  return { api, cut, rules, dial, received: () => receivedBytes };
}

/** The next answer, or how the connection ended. */
function next(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (data) => resolve(String(data)));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once("close", () => resolve("closed"));
  });
}

const send = (socket: Socket, words: string) => {
  const answer = next(socket);
  socket.write(words);
  return answer;
};

test("a cut refuses the sender's new connections before a byte of them arrives, and no other's", async () => {
  const { cut, rules, dial, received, api } = await world();
  const rule = await cut();
  expect(rule.status).toBe(201);
  expect(await send(await dial(), STREAM)).toBe("ECONNRESET");
  expect(received()).toBe(0);
  const other = STREAM.replace("8e9e05c52164694d", "91bc3c398fb3c146");
  const socket = await dial();
  expect(await send(socket, other)).toBe(String(other.length));
  expect(await rules()).toMatchObject([
    { hits: 1, refused: 1, established: 0, action: "cut", from: "8e9e05c52164694d" },
  ]);
  expect((await api("DELETE", `/rules/${String(rule.json["id"])}`)).status).toBe(204);
  const healed = await dial();
  expect(await send(healed, STREAM)).toBe(String(STREAM.length));
  healed.destroy();
  socket.destroy();
});

test("a head that comes byte by byte is held back until it is known", async () => {
  const { cut, dial, received } = await world();
  await cut();
  const socket = await dial();
  const ended = next(socket);
  for (const byte of STREAM) {
    socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await ended).toBe("ECONNRESET");
  expect(received()).toBe(0);
});

test("an established connection of the sender is cut at once", async () => {
  const { cut, rules, dial } = await world();
  const socket = await dial();
  expect(await send(socket, STREAM)).toBe(String(STREAM.length));
  const ended = next(socket);
  await cut();
  expect(await ended).toBe("ECONNRESET");
  expect(await rules()).toMatchObject([{ hits: 1, established: 1, refused: 0 }]);
});

test("the sender is found on a later request of a keep-alive connection, behind bodies", async () => {
  const { cut, dial } = await world();
  const socket = await dial();
  const chunked = "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  const counted = "POST /x HTTP/1.1\r\nContent-Length: 29\r\n\r\nX-Server-From: 1\r\n\r\nGET / HTT";
  for (const request of [PROBE, chunked, counted]) expect(await send(socket, request)).toBe(String(request.length));
  await cut();
  expect(await send(socket, POST)).toBe("ECONNRESET");
});

test("a blackhole keeps the connection and swallows both ways; deleting it resets", async () => {
  const { cut, rules, dial, received, api } = await world();
  const socket = await dial();
  await send(socket, STREAM);
  const before = received();
  const ended = next(socket);
  await cut({ action: "blackhole", id: "hole" });
  socket.write("more");
  await expect.poll(async () => (await rules())[0]?.swallowedBytes).toBe(4);
  expect(received()).toBe(before);
  await api("DELETE", "/rules/hole");
  expect(await ended).toBe("ECONNRESET");
});

test.each(["P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01", "GET a b c\r\n", "hello"])(
  "%j is nobody's: it passes under a rule too, sooner or later",
  async (words) => {
    const { cut, dial } = await world();
    if (words !== "P") await cut();
    const socket = await dial();
    expect(await send(socket, words)).toBe(String(words.length));
    socket.destroy();
  },
);

test("an unfinished head at the end of the stream is passed on", async () => {
  const { cut, dial, received } = await world();
  await cut();
  const socket = await dial();
  socket.end("GET /half");
  await expect.poll(received).toBe(9);
  socket.destroy();
});

test.each([
  [{ proxy: "" }, 400, "missing required field: proxy"],
  [{ from: "" }, 400, "missing required field: from"],
  [{ from: "n2" }, 400, 'bad request body: from is a member id in hex, not "n2"'],
  [{ action: "tickle" }, 400, 'bad request body: action is "cut" or "blackhole", not "tickle"'],
  [{ proxy: "peer-n9" }, 404, "proxy not found"],
  [{ id: "taken" }, 409, "rule already exists"],
])("the wrong rule %j is refused", async (wrong, status, error) => {
  const { cut, api } = await world();
  await cut({ id: "taken" });
  const answer = await cut(wrong);
  expect(answer).toEqual({ status, json: { error, status } });
  expect((await api("DELETE", "/rules/none")).status).toBe(404);
});

test("reset clears the rules", async () => {
  const { cut, rules, api } = await world();
  await cut();
  expect((await api("POST", "/reset")).status).toBe(204);
  expect(await rules()).toEqual([]);
});
