import type { Socket } from "node:net";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import { Flow, type Toxic } from "./flow.ts";
import type { Rule, RuleTable } from "./rules.ts";
import { SenderReader } from "./sender.ts";

/** Running totals of one proxy. */
export interface Counters {
  /** Connections accepted, and how many of them are open now. */
  connections: number;
  open: number;
  /** Connections that a rule refused or cut. */
  refused: number;
  /** Connections that found nobody at the upstream. */
  unreachable: number;
  /** Bytes handed to the server, to the client. */
  upstreamBytes: number;
  downstreamBytes: number;
}

export interface ConnectionHost {
  readonly name: string;
  readonly rules: RuleTable;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly random: Random;
  toxics(stream: "upstream" | "downstream"): readonly Toxic[];
  closed(connection: Connection): void;
}

/** A client's socket and the server's, joined: two flows, the sender's name, and the rule that holds for it. */
export class Connection {
  readonly #host: ConnectionHost;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly upstream: Flow;
  readonly downstream: Flow;
  readonly #reader = new SenderReader();
  #sender: string | undefined;
  #rule: Rule | undefined;
  /** The beginning of a head whose sender is not known yet; `#passed` bytes of it have gone on already. */
  #pending: Buffer = Buffer.alloc(0);
  #passed = 0;
  #gone = false;

  /** Both sockets are connected, and the client's still paused. */
  constructor(client: Socket, server: Socket, host: ConnectionHost) {
    this.#host = host;
    this.#client = client;
    this.#server = server;
    const { clock, random, counters } = host;
    const owner = (count: (bytes: number) => void) => ({
      ended: (how: "close" | "reset") => (how === "reset" ? this.reset() : this.close()),
      moved: count,
    });
    this.upstream = new Flow(
      client,
      server,
      owner((bytes) => (counters.upstreamBytes += bytes)),
      clock,
      random,
      host.toxics("upstream"),
    );
    this.downstream = new Flow(
      server,
      client,
      owner((bytes) => (counters.downstreamBytes += bytes)),
      clock,
      random,
      host.toxics("downstream"),
    );
    client.on("data", (data: Buffer) => this.#fromClient(data));
    server.on("data", (data: Buffer) => this.#fromServer(data));
    client.on("end", () => this.#ended(this.upstream));
    server.on("end", () => this.#ended(this.downstream));
    for (const socket of [client, server]) {
      // A peer that resets its side sees the other side reset too: no half of a connection is left waiting.
      socket.on("error", () => this.reset());
      socket.on("close", () => {
        if (client.destroyed && server.destroyed) this.#over();
      });
    }
    client.resume();
  }

  get sender(): string | undefined {
    return this.#sender;
  }

  /** A rule that has just been made, if it is about this connection. */
  apply(rule: Rule): void {
    if (rule.from !== this.#sender || this.#rule !== undefined || this.#gone) return;
    rule.established++;
    this.#obey(rule);
  }

  /** A rule that has gone. What a blackhole swallowed is lost, so its connection cannot go on whole. */
  release(rule: Rule): void {
    if (this.#rule === rule) this.reset();
  }

  /** Ends both sides at once with a reset, whatever was still on its way. */
  reset(): void {
    resetSocket(this.#client);
    resetSocket(this.#server);
    this.#over();
  }

  /** Ends both sides; what their sockets have taken is still delivered. */
  close(): void {
    this.upstream.stop();
    this.downstream.stop();
    this.#client.destroySoon();
    this.#server.destroySoon();
  }

  /** Ends both sides at once, as a proxy that is switched off: it does not wait for a receiver that does not read. */
  drop(): void {
    this.#client.destroy();
    this.#server.destroy();
    this.#over();
  }

  #obey(rule: Rule): void {
    this.#rule = rule;
    rule.hits++;
    this.#host.counters.refused++;
    if (rule.action === "cut") this.reset();
    else for (const flow of [this.upstream, this.downstream]) flow.stop();
  }

  #fromClient(data: Buffer): void {
    if (this.#rule !== undefined) {
      this.#rule.swallowedBytes += data.length;
      return;
    }
    if (this.#reader.opaque) {
      this.upstream.push(data);
      return;
    }
    const pending = this.#pending.length === 0 ? data : Buffer.concat([this.#pending, data]);
    const { passable, senders } = this.#reader.scan(pending);
    for (const sender of senders) if (this.#named(sender)) return;
    // Without a rule to keep nothing is held back: what is not HTTP must pass byte by byte.
    const until = this.#host.rules.covers(this.#host.name) ? Math.max(passable, this.#passed) : pending.length;
    if (until > this.#passed) this.upstream.push(pending.subarray(this.#passed, until));
    this.#pending = pending.subarray(passable);
    this.#passed = until - passable;
  }

  #fromServer(data: Buffer): void {
    if (this.#rule === undefined) this.downstream.push(data);
    else this.#rule.swallowedBytes += data.length;
  }

  /** true: a rule holds for this sender. */
  #named(sender: string): boolean {
    this.#sender = sender;
    const rule = this.#host.rules.find(this.#host.name, sender);
    if (rule === undefined) return false;
    rule.refused++;
    this.#obey(rule);
    return true;
  }

  #ended(flow: Flow): void {
    if (this.#rule !== undefined) return;
    if (flow === this.upstream && this.#pending.length > this.#passed)
      this.upstream.push(this.#pending.subarray(this.#passed));
    flow.finish();
  }

  #over(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.upstream.stop();
    this.downstream.stop();
    this.#host.closed(this);
  }
}

/**
 * libuv refuses to reset a socket whose shutdown is under way, and Node then never closes it: the descriptor stays open and the thread
 * can not end. Such a socket is closed the ordinary way.
 */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
