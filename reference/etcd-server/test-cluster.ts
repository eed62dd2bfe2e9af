import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, credentials, type ClientDuplexStream, type ServiceError } from "@grpc/grpc-js";
import type { Method } from "../../api/etcd/services.ts";
import { systemClock } from "../../seams/node/clock.ts";

const LAUNCHER = fileURLToPath(new URL("../../bin/seatrial", import.meta.url));

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

export interface TestMember {
  readonly name: string;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly dataDir: string;
  readonly logFile: string;
  process: ChildProcess | undefined;
}

/** Members as real processes, for the tests of this folder: started by the launcher as a user would. */
export class TestCluster {
  readonly dir: string;
  readonly members: readonly TestMember[];
  readonly #extra: readonly string[];
  readonly #clients: Client[] = [];

  private constructor(dir: string, members: readonly TestMember[], extra: readonly string[]) {
    this.dir = dir;
    this.members = members;
    this.#extra = extra;
  }

  static async start(size: number, extra: readonly string[] = []): Promise<TestCluster> {
    const dir = await mkdtemp(join(tmpdir(), "seatrial-store-"));
    const members: TestMember[] = [];
    for (let i = 1; i <= size; i++) {
      members.push({
        name: `m${i}`,
        clientPort: await freePort(),
        peerPort: await freePort(),
        dataDir: join(dir, `m${i}`),
        logFile: join(dir, `m${i}.log`),
        process: undefined,
      });
    }
    const cluster = new TestCluster(dir, members, extra);
    try {
      await Promise.all(members.map((member) => cluster.startMember(member)));
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  argv(member: TestMember): string[] {
    const initial = this.members.map(({ name, peerPort }) => `${name}=http://127.0.0.1:${peerPort}`).join(",");
    const client = `http://127.0.0.1:${member.clientPort}`;
    const peer = `http://127.0.0.1:${member.peerPort}`;
    return [
      "--name",
      member.name,
      `--data-dir=${member.dataDir}`,
      "--listen-client-urls",
      client,
      "--advertise-client-urls",
      client,
      "--listen-peer-urls",
      peer,
      "--initial-advertise-peer-urls",
      peer,
      `--initial-cluster=${initial}`,
      "--initial-cluster-state=new",
      ...this.#extra,
    ];
  }

  /** Resolves once the member says that it is ready. */
  async startMember(member: TestMember): Promise<void> {
    const child = spawn(LAUNCHER, ["store", ...this.argv(member)], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] },
    });
    member.process = child;
    const log = createWriteStream(member.logFile, { flags: "a" });
    await new Promise<void>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        log.write(chunk);
        if (chunk.includes("ready to serve client requests")) resolve();
      });
      child.once("exit", (code, signal) => {
        member.process = undefined;
        log.end();
        reject(
          new Error(`${member.name} ended with ${code ?? signal} before it was ready; its log: ${member.logFile}`),
        );
      });
    });
  }

  async kill(member: TestMember, signal: NodeJS.Signals = "SIGKILL"): Promise<number | null> {
    const child = member.process;
    if (child === undefined) return null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
    child.kill(signal);
    return await ended;
  }

  endpoints(): string {
    return this.members.map(({ clientPort }) => `127.0.0.1:${clientPort}`).join(",");
  }

  client(member: TestMember): TestClient {
    const client = new Client(`127.0.0.1:${member.clientPort}`, credentials.createInsecure(), {
      "grpc.enable_retries": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 200,
    });
    this.#clients.push(client);
    return new TestClient(client);
  }

  log(member: TestMember): Promise<string> {
    return readFile(member.logFile, "utf8");
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.members.map((member) => this.kill(member)));
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** One attempt each, no retry. */
export class TestClient {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  call<I, O>(
    method: Method<I, O>,
    request: Parameters<typeof method.request.fromPartial>[0],
    deadlineMs = 10_000,
  ): Promise<O> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        (message: I) => Buffer.from(method.request.encode(message).finish()),
        (bytes: Buffer) => method.response.decode(bytes),
        method.request.fromPartial(request),
        { deadline: systemClock.wallMs() + deadlineMs },
        (error: ServiceError | null, answer?: O) => {
          if (error) reject(error);
          else resolve(answer as O);
        },
      );
    });
  }

  stream<I, O>(method: Method<I, O>): ClientDuplexStream<I, O> {
    return this.#client.makeBidiStreamRequest(
      method.path,
      (message: I) => Buffer.from(method.request.encode(message).finish()),
      (bytes: Buffer) => method.response.decode(bytes),
    );
  }
}
