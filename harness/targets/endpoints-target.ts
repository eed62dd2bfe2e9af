import { isIP } from "node:net";
import type { EtcdKv, EtcdOutput } from "knossos-ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import { connectEtcd } from "../clients/etcd.ts";
import { UsageError } from "../errors.ts";
import type { ClusterView, Target, TargetNode } from "../target.ts";
import { clusterView, MemberProbe } from "./cluster-view.ts";
import { withDeadline } from "./deadline.ts";

/** What a cluster held before the run: the state that its history begins in. */
export interface InitialState {
  readonly revision: number;
  readonly kvs: readonly EtcdKv[];
}

export interface EndpointsOptions {
  /** `host:port` or `http://host:port`, one a member. */
  readonly endpoints: readonly string[];
  readonly clock: Clock;
  /** Load may go to other machines than this one. */
  readonly allowRemote?: boolean;
}

const ANSWER_WITHIN_MS: DurationMs = 5_000;
const PAGE = 1_000;
/** More than this and the checker would carry a state that the run is not about. */
const MOST_KEYS = 100_000;

/** A plain cluster that runs elsewhere: it is driven and judged, nothing is done to its processes or links. */
export class EndpointsTarget implements Target {
  readonly name = "endpoints";
  readonly nodes: readonly TargetNode[];
  readonly #addresses: ReadonlyMap<string, string>;
  readonly #probes: ReadonlyMap<string, MemberProbe>;
  readonly #clock: Clock;

  constructor(options: EndpointsOptions) {
    if (options.endpoints.length === 0)
      throw new UsageError("--target endpoints needs --endpoints, such as --endpoints http://127.0.0.1:2379.");
    const addresses = options.endpoints.map((endpoint) => addressOf(endpoint, options.allowRemote === true));
    this.#clock = options.clock;
    this.#addresses = new Map(addresses.map((address, index) => [`n${index + 1}`, address]));
    this.#probes = new Map(
      [...this.#addresses].map(([name, address]) => [name, new MemberProbe(address, options.clock)]),
    );
    this.nodes = [...this.#addresses].map(([name, address]) => ({
      name,
      directClientAddress: address,
      directPeerAddress: "",
      dataDir: "",
      logFile: "",
    }));
  }

  has(capability: string): boolean {
    return capability === "watch" || capability === "lease";
  }

  /** Starts nothing: makes sure that each endpoint answers. Rejects with UsageError. */
  async start(): Promise<void> {
    const silent = (await this.#statuses(undefined, ANSWER_WITHIN_MS))
      .filter(({ status }) => status === undefined)
      .map(({ node }) => this.endpoint(node));
    if (silent.length > 0)
      throw new UsageError(
        `no etcd answers at ${silent.join(", ")} within ${ANSWER_WITHIN_MS / 1000} s; give --endpoints the client addresses of a running cluster.`,
      );
  }

  endpoint(node: string): string {
    const address = this.#addresses.get(node);
    if (address === undefined)
      throw new Error(`there is no node ${node}; there are ${[...this.#addresses.keys()].join(", ")}`);
    return address;
  }

  async view(signal?: AbortSignal): Promise<ClusterView> {
    return clusterView(await this.#statuses(signal));
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    const readings = await this.#statuses(undefined);
    return Object.fromEntries(
      readings.map(({ node, status }) => [
        this.endpoint(node),
        status === undefined ? "does not answer" : `etcd ${status.version}`,
      ]),
    );
  }

  pid(): undefined {
    return undefined;
  }

  restart(): Promise<void> {
    return Promise.reject(new Error("the processes of an endpoints target are not ours to start"));
  }

  exited(): Promise<never> {
    return Promise.reject(new Error("the processes of an endpoints target are not ours to watch"));
  }

  /** All keys at one revision, read from the first endpoint. Rejects with UsageError if they cannot be read or are too many. */
  async initialState(): Promise<InitialState> {
    const [node] = this.#addresses.keys();
    const address = this.endpoint(node ?? "");
    await using client = connectEtcd(address, { clock: this.#clock });
    const read = async (from: string, at: number | undefined): Promise<Extract<EtcdOutput, { f: "range" }>> => {
      const outcome = await withDeadline(this.#clock, ANSWER_WITHIN_MS, undefined, (signal) =>
        client.invoke(
          { f: "range", key: from, rangeEnd: "\0", limit: PAGE, ...(at === undefined ? {} : { revision: at }) },
          signal,
        ),
      );
      if (outcome.type !== "ok")
        throw new UsageError(
          `what ${address} holds cannot be read (${outcome.error.code}: ${outcome.error.message}); a cluster under trial must hold text only and answer reads.`,
        );
      if (outcome.output.f !== "range") throw new Error("a range was answered with something else");
      return outcome.output;
    };
    const first = await read("\0", undefined);
    if (first.count > MOST_KEYS)
      throw new UsageError(
        `${address} holds ${first.count} keys, more than the ${MOST_KEYS} that a trial starts from; give --endpoints an emptier cluster.`,
      );
    const revision = first.revision ?? 0;
    const kvs = [...first.kvs];
    for (let page = first; page.more;) {
      page = await read(`${kvs.at(-1)?.key ?? ""}\0`, revision);
      kvs.push(...page.kvs);
    }
    return { revision, kvs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const probe of this.#probes.values()) probe.close();
  }

  #statuses(signal: AbortSignal | undefined, withinMs?: DurationMs) {
    return Promise.all(
      [...this.#probes].map(async ([node, probe]) => {
        const status = await probe.status(signal, withinMs);
        const knownId = probe.knownId;
        return {
          node,
          running: status !== undefined,
          ...(status === undefined ? {} : { status }),
          ...(knownId === undefined ? {} : { knownId }),
        };
      }),
    );
  }
}

function addressOf(endpoint: string, allowRemote: boolean): string {
  const wrong = new UsageError(
    `the endpoint ${JSON.stringify(endpoint)} is no address; give --endpoints host:port or http://host:port, several separated by commas.`,
  );
  if (endpoint.startsWith("https://"))
    throw new UsageError(
      `the endpoint ${endpoint} asks for TLS, which this version does not speak; give --endpoints an http:// address.`,
    );
  const bare = endpoint.replace(/^http:\/\//, "").replace(/\/$/, "");
  const parts = /^(?:\[([^\]]+)\]|([^:/[\]@\s]+)):(\d{1,5})$/.exec(bare);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3]);
  if (host === undefined || port < 1 || port > 65_535 || (parts?.[1] !== undefined && isIP(host) !== 6)) throw wrong;
  if (!allowRemote && !isLoopback(host))
    throw new UsageError(`the endpoint ${endpoint} is not on this machine; add --allow-remote if load may go there.`);
  // A name could resolve to several addresses, and a client has one endpoint.
  return host === "localhost" ? `127.0.0.1:${port}` : bare;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
