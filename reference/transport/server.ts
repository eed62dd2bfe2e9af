import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { createServer as createHttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import type { Member } from "../etcd-server/member.ts";
import type { Log } from "../etcd-server/config.ts";
import { bindServices } from "./grpc.ts";
import { serveHttp } from "./http-routes.ts";
import { Metrics } from "./metrics.ts";
import type { Clock } from "../../seams/clock.ts";

/** etcd's allowance over --max-request-bytes for what a message carries beside its payload. */
const GRPC_OVERHEAD_BYTES = 512 * 1024;
/** A connection that says nothing at all is not kept. */
const SILENT_MS = 120_000;

export interface ClientServerConfig {
  /** undefined before the member has started and after it has stopped. */
  readonly member: () => Member | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
}

/** gRPC and HTTP/1.1 on the same ports: the first bytes of a connection decide ("PRI" begins HTTP/2, RFC 9113 3.4). */
export class ClientServer {
  readonly #grpc: GrpcServer;
  readonly #injector: ReturnType<GrpcServer["createConnectionInjector"]>;
  readonly #http;
  readonly #sockets = new Set<Socket>();
  readonly #listeners: Server[] = [];

  constructor(config: ClientServerConfig) {
    const metrics = new Metrics(config.member);
    this.#grpc = new GrpcServer({
      "grpc.max_receive_message_length": config.maxRequestBytes + GRPC_OVERHEAD_BYTES,
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": config.maxConcurrentStreams,
      "grpc.keepalive_time_ms": 60_000,
      "grpc.keepalive_timeout_ms": 20_000,
      "grpc.enable_channelz": 0,
    });
    bindServices(this.#grpc, config.member, config.log, metrics);
    this.#injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.#http = createHttpServer((request, response) => {
      serveHttp({ member: config.member, metrics, clock: config.clock }, request, response).catch((error: unknown) => {
        config.log("warn", "an HTTP request failed", { path: request.url, error: String(error) });
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
  }

  /** Resolves once the port is taken; rejects with Node's error (`EADDRINUSE`...). */
  async listen(host: string, port: number): Promise<void> {
    const listener = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
    await listening(listener, host, port);
    this.#listeners.push(listener);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A client that resets its connection is no event of the server.
    socket.on("error", () => undefined);
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    const look = () => {
      const head = socket.read() as Buffer | null;
      if (head === null) return;
      socket.unshift(head);
      if (head.length < 3) {
        socket.once("readable", look);
        return;
      }
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      if (head.toString("latin1", 0, 3) === "PRI") this.#injector.injectConnection(socket);
      else this.#http.emit("connection", socket);
    };
    socket.once("readable", look);
  }

  /** Stops taking connections and ends those there are. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.#injector.destroy();
    this.#grpc.forceShutdown();
    this.#http.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Takes a port. */
export function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
