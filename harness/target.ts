import type { DurationMs } from "../seams/clock.ts";

/** How one member is to be started; faults' `prepare` may rewrite it before start. */
export interface LaunchSpec {
  /** Wrapper words in front of the member's argv (a supervisor, `ip netns exec`...). */
  readonly wrapper: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Route peer and client traffic through the embedded proxy. */
  readonly links: boolean;
  /** Hand the member the inherited fault channel (reference store only). */
  readonly faultChannel: boolean;
  /** Extra flags for the member's own command line. */
  readonly extraArgs: readonly string[];
}

export interface NodeView {
  readonly node: string;
  /** etcd member id, hex, once known. */
  readonly memberId?: string;
  readonly pid?: number;
  readonly running: boolean;
  readonly reachable: boolean;
  readonly leader: boolean;
  readonly term?: number;
  readonly revision?: number;
}

/** The cluster as it is now, asked from the members themselves. */
export interface ClusterView {
  readonly nodes: readonly NodeView[];
  /** Node name of the leader a majority agrees on. */
  readonly leader?: string;
}

/** How the harness steers one running member's inherited fault channel. */
export interface FaultChannel {
  /** Sends one command and resolves with the member's answer. */
  request(command: FaultChannelCommand): Promise<FaultChannelAnswer>;
}
export type FaultChannelCommand =
  | { readonly disk: "datasync"; readonly delayMs: DurationMs; readonly errno?: "EIO" | "ENOSPC" }
  | { readonly disk: "write"; readonly delayMs: DurationMs; readonly errno?: "EIO" | "ENOSPC" }
  | { readonly disk: "heal" }
  | { readonly probe: "datasync" }
  | { readonly clock: "offset"; readonly wallMs: number }
  | { readonly probe: "clock" };
export interface FaultChannelAnswer {
  readonly ok: boolean;
  /** probe datasync: how long one datasync on the log's disk took; the errno it ended with. */
  readonly elapsedMs?: number;
  readonly errno?: string;
  readonly wallMs?: number;
  readonly error?: string;
}

/** One node's processes and addresses, for the faults. */
export interface TargetNode {
  readonly name: string;
  /** host:port where the member itself listens for clients, behind any proxy. */
  readonly directClientAddress: string;
  /** host:port where the member itself listens for peers, behind any proxy. */
  readonly directPeerAddress: string;
  readonly dataDir: string;
  readonly logFile: string;
}

/**
 * What is on trial. Capabilities (`has`): `processes` (kill, pause, restart by the harness), `links` (the embedded proxy is in line),
 * `fault-channel` (Disk and Clock faults by the inherited descriptor), `watch`, `lease`, `simulation`.
 */
export interface Target extends AsyncDisposable {
  readonly name: string;
  readonly nodes: readonly TargetNode[];
  has(capability: string): boolean;
  start(spec: LaunchSpec): Promise<void>;
  /** host:port for clients of this node, through the proxy if there is one. */
  endpoint(node: string): string;
  view(signal?: AbortSignal): Promise<ClusterView>;
  /** What is under trial: version strings for run.json. */
  versions(): Promise<Readonly<Record<string, string>>>;
  /** Only with `processes`. The pid of a running member; undefined while it is down. */
  pid(node: string): number | undefined;
  /** Only with `processes`. Starts a member that is down again, on its data directory, with the same spec. */
  restart(node: string): Promise<void>;
  /** Only with `processes`. Resolves when the member's process has ended. */
  exited(node: string): Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Only with `links`: base URL of the proxy's Toxiproxy-compatible API. Proxy names: `client-<node>`, `peer-<node>`. */
  readonly linksApi?: string;
  /** Only with `fault-channel`. */
  faultChannel?(node: string): FaultChannel;
}
