import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import { Connection, type Counters } from "./connection.ts";
import { RuleTable } from "./rules.ts";

/** The two ends of a TCP connection: the dialler's, the listener's. */
async function pair(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const dialled = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [[listener]] = await Promise.all([accepted, once(dialled, "connect")]);
  server.close();
  onTestFinished(() => {
    dialled.destroy();
    listener.destroy();
  });
  return [dialled, listener];
}

async function joined() {
  const [far, client] = await pair();
  const [server, upstream] = await pair();
  const counters: Counters = {
    connections: 0,
    open: 0,
    refused: 0,
    unreachable: 0,
    upstreamBytes: 0,
    downstreamBytes: 0,
  };
  let closed = 0;
  const host = {
    name: "p",
    rules: new RuleTable(),
    counters,
    clock: systemClock,
    random: seededRandom(1),
    toxics: () => [],
    closed: () => closed++,
  };
  return { far, client, server, upstream, connection: new Connection(client, server, host), closed: () => closed };
}

test("a connection that is just ending can be reset, and both its sockets are let go", async () => {
  const { far, client, server, connection, closed } = await joined();
  far.on("error", () => undefined);
  const gone = Promise.all([once(client, "close"), once(server, "close")]);
  connection.downstream.finish();
  connection.upstream.finish();
  connection.reset();
  await gone;
  expect(closed()).toBe(1);
});

test("a half-closed connection still answers", async () => {
  const { far, upstream } = await joined();
  upstream.on("end", () => upstream.end("the answer"));
  upstream.resume();
  far.end("the question");
  const [answer] = (await once(far, "data")) as [Buffer];
  expect(String(answer)).toBe("the answer");
  await once(far, "end");
});

test("a receiver that does not read stops the sender, and then gets everything", async () => {
  const { far, client, server, upstream } = await joined();
  const total = 64 * 1024 * 1024;
  far.pause();
  upstream.write(Buffer.alloc(total, "x"));
  upstream.end();
  // Settled: nothing moves any more while the far end does not read.
  let before = -1;
  await expect
    .poll(
      () => {
        const same = server.bytesRead === before;
        before = server.bytesRead;
        return same && before > 0;
      },
      { interval: 100 },
    )
    .toBe(true);
  expect(server.bytesRead).toBeLessThan(total);
  expect(client.writableLength).toBeLessThanOrEqual(1024 * 1024);
  let received = 0;
  far.on("data", (data: Buffer) => (received += data.length));
  far.resume();
  await once(far, "end");
  expect(received).toBe(total);
});
