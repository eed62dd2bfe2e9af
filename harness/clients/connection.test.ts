import { once } from "node:events";
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { expect, test } from "vitest";
import * as rpc from "../../api/etcd/gen/rpc.ts";
import { systemClock } from "../../seams/node/clock.ts";
import { StreamBroken } from "../client.ts";
import { connectEtcd } from "./etcd.ts";

const never = new AbortController().signal;
const put = { f: "put", key: "k", value: "v" } as const;

/** An HTTP/2 server that does with each call what the test says, and counts them. */
async function serverThat(answers: (stream: ServerHttp2Stream) => void) {
  const calls: string[] = [];
  const sessions = new Set<{ destroy(): void }>();
  const server = createHttp2Server();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    calls.push(headers[":path"] ?? "");
    stream.on("error", () => undefined);
    stream.once("data", () => answers(stream));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connectEtcd(`127.0.0.1:${(server.address() as AddressInfo).port}`, { clock: systemClock });
  return {
    client,
    calls,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

/** A gRPC frame of one message. */
function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function respond(
  stream: ServerHttp2Stream,
  message: Uint8Array,
  trailers: Record<string, string> = { "grpc-status": "0" },
) {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(framed(message));
}

const putAnswer = rpc.PutResponse.encode(rpc.PutResponse.fromPartial({ header: { revision: 5n } })).finish();

test("an answer is an ok", async () => {
  await using server = await serverThat((stream) => respond(stream, putAnswer));
  expect(await server.client.invoke(put, never)).toEqual({ type: "ok", output: { f: "put", revision: 5 } });
});

test("a stream that the server refused is sent once and no more: no retry is hidden in an operation", async () => {
  await using server = await serverThat((stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM));
  expect(await server.client.invoke(put, never)).toMatchObject({ type: "info", error: { code: "UNAVAILABLE" } });
  expect(server.calls).toEqual(["/etcdserverpb.KV/Put"]);
});

test.each<[string, (stream: ServerHttp2Stream) => void]>([
  ["loses its connection", (stream) => stream.session?.destroy()],
  ["is reset", (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
  ["is cancelled by the server", (stream) => stream.close(constants.NGHTTP2_CANCEL)],
  [
    "is answered by a proxy's page",
    (stream) => {
      stream.respond({ ":status": 503, "content-type": "text/html" });
      stream.end("no");
    },
  ],
  ["is answered with what is no message", (stream) => respond(stream, Buffer.from([0x0a, 0xff]))],
  [
    "is answered well but without a message",
    (stream) =>
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "0" }, { endStream: true }),
  ],
  [
    "is told that space is exceeded",
    (stream) =>
      stream.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": "8",
          "grpc-message": "etcdserver: mvcc: database space exceeded",
        },
        { endStream: true },
      ),
  ],
])("a write that was sent and %s is in doubt, a read is a fail", async (_, answer) => {
  await using server = await serverThat(answer);
  expect((await server.client.invoke(put, never)).type).toBe("info");
  expect((await server.client.invoke({ f: "range", key: "k" }, never)).type).toBe("fail");
});

test("nobody listens: a certain fail, told no sooner than the refusal's pause", async () => {
  const address = await freeAddress();
  await using client = connectEtcd(address, { clock: systemClock, refusalMs: 30 });
  const before = systemClock.now();
  expect(await client.invoke(put, never)).toMatchObject({
    type: "fail",
    error: { code: "UNAVAILABLE", definite: true },
  });
  expect(await client.invoke(put, never)).toMatchObject({
    type: "fail",
    error: { code: "UNAVAILABLE", definite: true },
  });
  expect(systemClock.now() - before).toBeGreaterThanOrEqual(55);
});

test("a proxy that accepts and hangs up never was a connection", async () => {
  const server = createTcpServer((socket) => socket.destroy());
  await using client = connectEtcd(await listening(server), { clock: systemClock });
  expect(await client.invoke(put, never)).toMatchObject({
    type: "fail",
    error: { code: "UNAVAILABLE", definite: true },
  });
  server.close();
});

test("a server that accepts and says nothing leaves a given-up write in doubt", async () => {
  const server = createTcpServer((socket) => void socket.on("error", () => undefined));
  await using client = connectEtcd(await listening(server), { clock: systemClock });
  const patience = new AbortController();
  const outcome = client.invoke(put, patience.signal);
  await systemClock.sleep(50);
  patience.abort(new Error("no answer within 50 ms"));
  expect(await outcome).toMatchObject({ type: "info", error: { code: "DEADLINE_EXCEEDED" } });
  server.close();
});

test("a watch that loses its connection breaks, and says why", async () => {
  const created = rpc.WatchResponse.encode(
    rpc.WatchResponse.fromPartial({ header: { revision: 5n }, created: true }),
  ).finish();
  await using server = await serverThat((stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(framed(created), () => void systemClock.sleep(20).then(() => stream.session?.destroy()));
  });
  const seen: unknown[] = [];
  const watching = (async () => {
    for await (const message of server.client.open({ f: "watch", key: "k" }, never)) seen.push(message);
  })();
  const broken: unknown = await watching.catch((error: unknown) => error);
  expect(broken).toBeInstanceOf(StreamBroken);
  expect(broken).toMatchObject({ error: { code: "UNAVAILABLE" } });
  expect(seen).toEqual([{ revision: 5, created: true, events: [] }]);
});

async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function freeAddress(): Promise<string> {
  const server = createTcpServer();
  const address = await listening(server);
  server.close();
  await once(server, "close");
  return address;
}
