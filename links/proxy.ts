import { connect, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import { Connection, type Counters } from "./connection.ts";
import { ApiError } from "./errors.ts";
import type { Toxic } from "./flow.ts";
import type { Rule, RuleTable } from "./rules.ts";

/** Loopback unless somebody names another interface: faults are for this machine. */
const DEFAULT_HOST = "127.0.0.1";

export interface ProxyWorld {
  readonly rules: RuleTable;
  readonly clock: Clock;
  readonly random: Random;
}

/** One listening port in front of one upstream, with its toxics. Toxiproxy's Proxy. */
export class Proxy {
  readonly name: string;
  readonly counters: Counters = {
    connections: 0,
    open: 0,
    refused: 0,
    unreachable: 0,
    upstreamBytes: 0,
    downstreamBytes: 0,
  };
  readonly #world: ProxyWorld;
  readonly #toxics: Toxic[] = [];
  readonly #connections = new Set<Connection>();
  /** Sockets accepted whose upstream is still being dialled. */
  readonly #dialling = new Set<Socket>();
  #listen: string;
  #upstream: string;
  #server: Server | undefined;

  constructor(world: ProxyWorld, name: string, listen: string, upstream: string) {
    this.#world = world;
    this.name = name;
    this.#listen = listen;
    this.#upstream = upstream;
  }

  get enabled(): boolean {
    return this.#server !== undefined;
  }

  /** host:port; the port is the real one once it has been started, and stays over a stop. */
  get listen(): string {
    return this.#listen;
  }

  get upstream(): string {
    return this.#upstream;
  }

  /** Upstream ones first, each stream in the order of adding, as Toxiproxy lists them. */
  get toxics(): readonly Toxic[] {
    return [...this.#of("upstream"), ...this.#of("downstream")];
  }

  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const { host, port } = parseAddress(this.#listen, DEFAULT_HOST);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(client),
    );
    // Claimed before the wait: a second start meanwhile must not listen twice.
    this.#server = server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port }, resolve);
      });
    } catch (error) {
      this.#server = undefined;
      throw new ApiError(500, `listen tcp ${host}:${port}: ${listenProblem(error)}`);
    }
    server.on("error", () => undefined);
    const address = server.address();
    if (address !== null && typeof address === "object") this.#listen = formatAddress(address.address, address.port);
  }

  /** Stops listening and ends every connection, as Toxiproxy's `enabled: false`. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#dialling) socket.destroy();
    for (const connection of [...this.#connections]) connection.drop();
    await closed;
  }

  async update(wanted: {
    readonly listen: string;
    readonly upstream: string;
    readonly enabled: boolean;
  }): Promise<void> {
    const { host, port } = parseAddress(wanted.listen, DEFAULT_HOST);
    if (formatAddress(host, port) !== this.#listen || wanted.upstream !== this.#upstream) {
      parseAddress(wanted.upstream, DEFAULT_HOST);
      await this.stop();
      this.#listen = wanted.listen;
      this.#upstream = wanted.upstream;
    }
    if (wanted.enabled) await this.start();
    else await this.stop();
  }

  /** Whether a proxy asked for with these addresses would be another one. */
  differs(listen: string, upstream: string): boolean {
    const { host, port } = parseAddress(listen, DEFAULT_HOST);
    return formatAddress(host, port) !== this.#listen || upstream !== this.#upstream;
  }

  toxic(name: string): Toxic {
    const found = this.#toxics.find((toxic) => toxic.name === name);
    if (found === undefined) throw new ApiError(404, "toxic not found");
    return found;
  }

  async addToxic(toxic: Toxic): Promise<void> {
    if (this.#toxics.some(({ name }) => name === toxic.name)) throw new ApiError(409, "toxic already exists");
    this.#toxics.push(toxic);
    await this.#onFlows(toxic, (flow) => flow.add(toxic));
  }

  async updateToxic(
    toxic: Toxic,
    change: { readonly toxicity: number; readonly attributes: Toxic["attributes"] },
  ): Promise<void> {
    toxic.toxicity = change.toxicity;
    toxic.attributes = change.attributes;
    await this.#onFlows(toxic, (flow) => flow.update(toxic));
  }

  async removeToxic(toxic: Toxic): Promise<void> {
    this.#toxics.splice(this.#toxics.indexOf(toxic), 1);
    await this.#onFlows(toxic, (flow) => flow.remove(toxic));
  }

  async removeAllToxics(): Promise<void> {
    for (const toxic of [...this.#toxics]) await this.removeToxic(toxic);
  }

  apply(rule: Rule): void {
    for (const connection of [...this.#connections]) connection.apply(rule);
  }

  release(rule: Rule): void {
    for (const connection of [...this.#connections]) connection.release(rule);
  }

  async #onFlows(toxic: Toxic, change: (flow: Connection["upstream"]) => Promise<void>): Promise<void> {
    await Promise.all([...this.#connections].map((connection) => change(connection[toxic.stream])));
  }

  #of(stream: "upstream" | "downstream"): readonly Toxic[] {
    return this.#toxics.filter((toxic) => toxic.stream === stream);
  }

  #accept(client: Socket): void {
    this.counters.connections++;
    const { host, port } = parseAddress(this.#upstream, DEFAULT_HOST);
    const server = connect({ host, port, allowHalfOpen: true, noDelay: true });
    this.#dialling.add(client);
    const failed = () => {
      this.#dialling.delete(client);
      this.counters.unreachable++;
      client.destroy();
      server.destroy();
    };
    client.once("error", failed);
    client.once("close", failed);
    server.once("error", failed);
    server.once("connect", () => {
      client.off("error", failed);
      client.off("close", failed);
      server.off("error", failed);
      this.#dialling.delete(client);
      this.#join(client, server);
    });
  }

  #join(client: Socket, server: Socket): void {
    this.counters.open++;
    const connection = new Connection(client, server, {
      name: this.name,
      ...this.#world,
      counters: this.counters,
      toxics: (stream) => this.#of(stream),
      closed: (gone) => {
        if (this.#connections.delete(gone)) this.counters.open--;
      },
    });
    this.#connections.add(connection);
  }
}

/** `host:port`, `[v6]:port` or `:port`; an empty text is any port of the default host. */
export function parseAddress(address: string, defaultHost: string): { readonly host: string; readonly port: number } {
  if (address === "") return { host: defaultHost, port: 0 };
  const colon = address.lastIndexOf(":");
  if (colon < 0) throw new ApiError(500, `address ${address}: missing port in address`);
  const port = Number(address.slice(colon + 1));
  const digits = /^\d+$/.test(address.slice(colon + 1));
  if (!digits || port > 65535) throw new ApiError(500, `address ${address}: invalid port`);
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host: host === "" ? defaultHost : host === "localhost" ? "127.0.0.1" : host, port };
}

function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function listenProblem(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return "bind: address already in use";
  if (code === "EACCES") return "bind: permission denied";
  return message;
}
