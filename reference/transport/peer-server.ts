import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { NodeId } from "../../seams/network.ts";
import type { Log } from "../etcd-server/config.ts";
import { FrameReader } from "./frames.ts";
import { admit, hex, RAFT_PATH, REQUEST_PATH, SNAPSHOT_PATH, type PeerIdentity } from "./peer-protocol.ts";
import type { Peers } from "./peers.ts";

const MAX_REQUEST_BYTES = 1024 * 1024;

export interface PeerServerConfig extends PeerIdentity {
  readonly members: ReadonlySet<NodeId>;
  readonly log: Log;
}

/** What other members send to this one. Whoever is no member of this cluster, or no member of this kind, is refused with a sentence. */
export class PeerServer {
  readonly http: Server;
  readonly #config: PeerServerConfig;
  readonly #peers: Peers;
  /** The stream on which each peer sends: a newer one takes its place. */
  readonly #streams = new Map<NodeId, IncomingMessage>();

  constructor(config: PeerServerConfig, peers: Peers) {
    this.#config = config;
    this.#peers = peers;
    this.http = createServer(
      { noDelay: true, keepAlive: true, requestTimeout: 0, keepAliveTimeout: 60_000 },
      (request, response) => {
        this.#serve(request, response).catch((error: unknown) => {
          this.#config.log("warn", "a request of a peer failed", {
            path: request.url,
            error: error instanceof Error ? error.message : String(error),
          });
          if (!response.headersSent) refuse(response, 500, error instanceof Error ? error.message : String(error));
          else response.destroy();
        });
      },
    );
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const caller = admit(request.headers, this.#config, this.#config.members);
    if ("why" in caller) {
      this.#config.log("warn", `refused a peer: ${caller.why}`, {
        path: request.url,
        remote: request.socket.remoteAddress,
      });
      request.resume();
      refuse(response, caller.status, caller.why);
      return;
    }
    const handler = this.#peers.handler;
    if (handler === undefined) return refuse(response, 503, "this member is starting or stopping");
    const path = request.url ?? "";
    if (request.method === "POST" && path === RAFT_PATH) return this.#receive(caller.from, request, response);
    if (request.method === "POST" && path === SNAPSHOT_PATH) {
      await handler.snapshot(caller.from, request as AsyncIterable<Buffer>);
      response.writeHead(204).end();
      return;
    }
    if (request.method === "POST" && path.startsWith(REQUEST_PATH)) {
      const gone = new AbortController();
      response.once("close", () => gone.abort(new Error("the peer hung up")));
      const answer = await handler.request(
        caller.from,
        path.slice(REQUEST_PATH.length),
        await read(request),
        gone.signal,
      );
      response.writeHead(200, { "content-length": answer.length }).end(answer);
      return;
    }
    refuse(response, 404, `there is nothing at ${path}`);
  }

  #receive(from: NodeId, request: IncomingMessage, response: ServerResponse): void {
    this.#streams.get(from)?.destroy();
    this.#streams.set(from, request);
    this.#config.log("info", "a peer's stream began", { peer: hex(from) });
    const reader = new FrameReader();
    request.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk, (message) => this.#peers.handler?.message(from, message));
      } catch (error) {
        this.#config.log("warn", "a peer's stream is broken", { peer: hex(from), error: String(error) });
        request.destroy();
      }
    });
    // Its end is an event of the link, not of this member: the peer comes back.
    request.on("error", () => undefined);
    request.once("end", () => response.writeHead(204).end());
    request.once("close", () => {
      if (this.#streams.get(from) === request) this.#streams.delete(from);
    });
  }

  close(): void {
    this.http.close();
    this.http.closeAllConnections();
  }
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw new Error("the request is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { "content-type": "text/plain", connection: "close" }).end(`${why}\n`);
}
