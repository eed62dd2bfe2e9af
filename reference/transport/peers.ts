import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Instant } from "../../seams/clock.ts";
import type { Network, NetworkHandler, NodeId } from "../../seams/network.ts";
import type { Log } from "../etcd-server/config.ts";
import { writeFrames } from "./frames.ts";
import { hex, peerHeaders, RAFT_PATH, REQUEST_PATH, SNAPSHOT_PATH, type PeerIdentity } from "./peer-protocol.ts";

/** What may wait in this process for one peer; more is dropped, which raft tolerates. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
const FIRST_BACKOFF_MS = 20;
const LAST_BACKOFF_MS = 500;
/** A link that has not taken a byte for so long is given up and made anew. */
const STUCK_MS = 5000;
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface PeerAddress {
  readonly id: NodeId;
  /** Base URL, as in `--initial-cluster`. */
  readonly url: string;
}

export interface PeersConfig extends PeerIdentity {
  readonly peers: readonly PeerAddress[];
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Links to the other members over HTTP/1.1: per peer one endless POST that carries raft's messages (the peer's own POST is the other direction),
 * and a POST each for snapshots and requests. What arrives comes in through `PeerServer`, which calls the handler set here.
 */
export class Peers implements Network {
  readonly #config: PeersConfig;
  readonly #links = new Map<NodeId, Link>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  readonly #closing = new AbortController();
  handler: NetworkHandler | undefined;

  constructor(config: PeersConfig) {
    this.#config = config;
    for (const peer of config.peers) {
      if (peer.id === config.self) continue;
      const link = new Link(peer, config, this.#closing.signal);
      this.#links.set(peer.id, link);
      void link.run();
    }
  }

  send(to: NodeId, bytes: Uint8Array): void {
    this.#links.get(to)?.send(bytes);
  }

  receive(handler: NetworkHandler): Disposable {
    this.handler = handler;
    return {
      [Symbol.dispose]: () => {
        if (this.handler === handler) this.handler = undefined;
      },
    };
  }

  async sendSnapshot(to: NodeId, stream: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    // A connection of its own: a long stream must not hold up requests.
    const call = this.#open(to, SNAPSHOT_PATH, signal, undefined);
    try {
      for await (const chunk of stream) {
        if (call.request.destroyed || call.answered) break;
        if (!call.request.write(chunk)) await Promise.race([drained(call.request), call.response]);
      }
      call.request.end();
    } catch (error) {
      call.request.destroy();
      call.response.catch(() => undefined);
      throw error;
    }
    await body(await call.response);
  }

  async request(to: NodeId, method: string, content: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const call = this.#open(to, REQUEST_PATH + method, signal, this.#agent);
    call.request.end(content);
    return await body(await call.response);
  }

  close(): void {
    this.#closing.abort(new Error("this member stops"));
    this.#agent.destroy();
  }

  #open(
    to: NodeId,
    path: string,
    signal: AbortSignal,
    agent: Agent | undefined,
  ): { readonly request: ClientRequest; readonly response: Promise<IncomingMessage>; answered: boolean } {
    const peer = this.#config.peers.find(({ id }) => id === to);
    if (peer === undefined) throw new Error(`there is no member ${hex(to)}`);
    const request = httpRequest(new URL(path, peer.url), {
      method: "POST",
      headers: peerHeaders(this.#config),
      agent: agent ?? false,
      signal: AbortSignal.any([signal, this.#closing.signal]),
    });
    request.setNoDelay(true);
    const call = {
      request,
      answered: false,
      response: new Promise<IncomingMessage>((resolve, reject) => {
        request.once("response", (response) => {
          call.answered = true;
          resolve(response);
        });
        request.once("error", reject);
        request.once("close", () => reject(new Error(`the link to member ${hex(to)} broke`)));
      }),
    };
    // Whoever waits sees it; who has gone meanwhile need not.
    call.response.catch(() => undefined);
    return call;
  }
}

function drained(request: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    request.once("drain", resolve);
    request.once("close", resolve);
  });
}

async function body(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error("a peer's answer is too long");
    chunks.push(chunk);
  }
  const whole = Buffer.concat(chunks);
  if ((response.statusCode ?? 500) >= 300)
    throw new Error(`a peer answered ${response.statusCode}: ${whole.toString().trim()}`);
  return whole;
}

/** One direction to one peer. */
class Link {
  readonly #peer: PeerAddress;
  readonly #config: PeersConfig;
  readonly #signal: AbortSignal;
  #request: ClientRequest | undefined;
  #pending: Uint8Array[] = [];
  #stuckSince: Instant | undefined;
  /** The last complaint, so that the same is logged once. */
  #complaint = "";

  constructor(peer: PeerAddress, config: PeersConfig, signal: AbortSignal) {
    this.#peer = peer;
    this.#config = config;
    this.#signal = signal;
  }

  /** What one turn sends goes out by one write, at the turn's end. */
  send(bytes: Uint8Array): void {
    if (this.#request === undefined) return;
    this.#pending.push(bytes);
    if (this.#pending.length === 1) void Promise.resolve().then(() => this.#flush());
  }

  #flush(): void {
    const messages = this.#pending;
    this.#pending = [];
    const request = this.#request;
    if (request === undefined || request.destroyed) return;
    const queued = request.writableLength + (request.socket?.writableLength ?? 0);
    const now = this.#config.clock.now();
    if (queued === 0) this.#stuckSince = undefined;
    else if (this.#stuckSince === undefined) this.#stuckSince = now;
    else if (now - this.#stuckSince > STUCK_MS) {
      request.destroy(new Error("the link takes nothing any more"));
      return;
    }
    if (queued > MAX_QUEUED_BYTES) return;
    request.write(writeFrames(messages));
  }

  /** Keeps the link open until the signal aborts. */
  async run(): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS;
    while (!this.#signal.aborted) {
      const { connected, why } = await this.#connectOnce();
      if (this.#signal.aborted) return;
      if (why !== this.#complaint)
        this.#config.log("warn", `lost the link to a peer: ${why}`, { peer: hex(this.#peer.id), url: this.#peer.url });
      this.#complaint = why;
      backoffMs = connected ? FIRST_BACKOFF_MS : Math.min(2 * backoffMs, LAST_BACKOFF_MS);
      await this.#config.clock.sleep(backoffMs, this.#signal).catch(() => undefined);
    }
  }

  /** Resolves when the link is gone, with the reason. */
  #connectOnce(): Promise<{ readonly connected: boolean; readonly why: string }> {
    return new Promise((resolve) => {
      let connected = false;
      let why = "the connection was closed";
      const request = httpRequest(new URL(RAFT_PATH, this.#peer.url), {
        method: "POST",
        headers: peerHeaders(this.#config),
        agent: false,
        signal: this.#signal,
      });
      request.setNoDelay(true);
      request.flushHeaders();
      this.#request = request;
      this.#stuckSince = undefined;
      request.once("socket", (socket: Socket) => {
        socket.once("connect", () => {
          connected = true;
          this.#complaint = "";
        });
      });
      request.once("response", (response) => {
        // The peer answers only to end the stream.
        connected = false;
        body(response)
          .then(
            () => undefined,
            (error: unknown) => {
              why = error instanceof Error ? error.message : String(error);
            },
          )
          .finally(() => request.destroy());
      });
      request.once("error", (error) => {
        why = error.message;
      });
      request.once("close", () => {
        if (this.#request === request) this.#request = undefined;
        resolve({ connected, why });
      });
    });
  }
}
