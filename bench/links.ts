/**
 * What the embedded proxy costs: echo with and without it, in alternating rounds, as ratios; beside it the original Toxiproxy's, when
 * SEATRIAL_TOXIPROXY names its server. `node --conditions=@seatrial/source bench/links.ts [rounds]`. The echo server, the proxy and
 * the client are threads of one process; the original is a process of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { startLinks } from "../links/index.ts";
import { systemClock } from "../seams/node/clock.ts";

const ROUND_MS = 1_000;
const PEER_POST = Buffer.from(
  `POST /raft HTTP/1.1\r\nHost: x\r\nX-Server-From: 8e9e05c52164694d\r\nContent-Length: 256\r\n\r\n${"x".repeat(256)}`,
);

/** One way of talking to an echo server; resolves to operations a second. */
interface Workload {
  readonly name: string;
  readonly connections: number;
  readonly message: Buffer;
  /** Messages under way on each connection. */
  readonly depth: number;
}

const workloads: readonly Workload[] = [
  { name: "1 connection, 256 B, one at a time", connections: 1, message: Buffer.alloc(256, "x"), depth: 1 },
  { name: "50 connections, 256 B, one at a time", connections: 50, message: Buffer.alloc(256, "x"), depth: 1 },
  { name: "1 connection, peer POSTs of 256 B, 16 under way", connections: 1, message: PEER_POST, depth: 16 },
  { name: "1 connection, 64 KiB, 8 under way", connections: 1, message: Buffer.alloc(65_536, "x"), depth: 8 },
];

if (isMainThread) await main(Number(process.argv[2] ?? 3));
else serveEcho();

function serveEcho(): void {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
}

async function main(rounds: number): Promise<void> {
  const echo = new Worker(new URL(import.meta.url));
  const [port] = (await once(echo, "message")) as [number];
  const upstream = `127.0.0.1:${port}`;
  await using links = await startLinks({ proxies: [{ name: "echo", upstream }], clock: systemClock });
  await using original = await startOriginal(process.env["SEATRIAL_TOXIPROXY"], upstream);
  const ways = {
    direct: port,
    ours: portOf(links.address("echo")),
    ...(original.port === undefined ? {} : { original: original.port }),
  };
  for (const workload of workloads) {
    const figures = new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]));
    const order = Object.entries(ways);
    for (const [, at] of order) await measure(workload, at);
    for (let round = 0; round < rounds; round++) {
      for (const [way, at] of [...order, ...order.toReversed()]) figures.get(way)?.push(await measure(workload, at));
    }
    const direct = median(figures.get("direct") ?? []);
    const cells = [...figures].map(
      ([way, rates]) => `${way} ${median(rates).toFixed(0).padStart(6)}/s (${(median(rates) / direct).toFixed(2)})`,
    );
    process.stdout.write(`${workload.name.padEnd(50)} ${cells.join("   ")}\n`);
  }
  await echo.terminate();
}

async function startOriginal(
  file: string | undefined,
  upstream: string,
): Promise<AsyncDisposable & { readonly port?: number }> {
  if (file === undefined) return { async [Symbol.asyncDispose]() {} };
  const port = 20_000 + (process.pid % 10_000);
  const child = spawn(file, ["-host", "127.0.0.1", "-port", String(port)], {
    stdio: "ignore",
    env: { ...process.env, LOG_LEVEL: "error" },
  });
  const create = () =>
    fetch(`http://127.0.0.1:${port}/proxies`, {
      method: "POST",
      body: JSON.stringify({ name: "echo", upstream, listen: "127.0.0.1:0" }),
    });
  for (let tries = 0; tries < 100; tries++) {
    await systemClock.sleep(50);
    const answer = await create().catch(() => undefined);
    if (answer === undefined) continue;
    const { listen } = (await answer.json()) as { readonly listen: string };
    return {
      port: portOf(listen),
      async [Symbol.asyncDispose]() {
        child.kill("SIGKILL");
        await once(child, "exit");
      },
    };
  }
  child.kill("SIGKILL");
  throw new Error(`${file} does not answer on port ${port}`);
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

async function measure({ connections, message, depth }: Workload, port: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => dial(port)));
  let operations = 0;
  for (const socket of sockets) {
    let received = 0;
    socket.on("data", (data) => {
      received += data.length;
      while (received >= message.length) {
        received -= message.length;
        operations++;
        socket.write(message);
      }
    });
    for (let i = 0; i < depth; i++) socket.write(message);
  }
  const started = performance.now();
  await systemClock.sleep(ROUND_MS);
  const perSecond = (operations * 1000) / (performance.now() - started);
  for (const socket of sockets) socket.destroy();
  return perSecond;
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return socket;
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1] ?? 0;
}
