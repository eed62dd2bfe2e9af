import { z } from "zod";

/** A command line that etcd would refuse too, or that names what this store does not do. */
export class FlagError extends Error {
  override readonly name = "FlagError";
  /** etcd's: 2 for a flag, 1 for a stray argument or a value that does not fit together. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface StoreUrl {
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

export interface StoreFlags {
  readonly name: string;
  readonly dataDir: string;
  readonly listenClientUrls: readonly StoreUrl[];
  readonly advertiseClientUrls: readonly StoreUrl[];
  readonly listenPeerUrls: readonly StoreUrl[];
  readonly initialAdvertisePeerUrls: readonly StoreUrl[];
  /** Name and peer URLs of each member, in the order given. */
  readonly initialCluster: readonly { readonly name: string; readonly urls: readonly string[] }[];
  readonly initialClusterToken: string;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly electionTickAdvance: boolean;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;
  readonly logLevel: LogLevelName;
  readonly logOutputs: readonly string[];
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  readonly maxConcurrentStreams: number;
  readonly progressNotifyMs: number;
}
export type LogLevelName = "debug" | "info" | "warn" | "error" | "dpanic" | "panic" | "fatal";

/** `boolean` flags take a value only after `=`; `accepted` ones only with the values that change nothing. */
type Flag =
  | { readonly kind: "value"; readonly default: string; readonly help: string }
  | { readonly kind: "boolean"; readonly default: string; readonly help: string; readonly accepted?: readonly string[] }
  | {
      readonly kind: "accepted";
      readonly default: string;
      readonly help: string;
      readonly accepted: readonly string[];
    };

export const FLAGS: Readonly<Record<string, Flag>> = {
  name: { kind: "value", default: "default", help: "Human-readable name for this member." },
  "data-dir": { kind: "value", default: "", help: "Path to the data directory (${name}.etcd unless told)." },
  "listen-client-urls": {
    kind: "value",
    default: "http://localhost:2379",
    help: "List of URLs to listen on for client traffic.",
  },
  "advertise-client-urls": {
    kind: "value",
    default: "http://localhost:2379",
    help: "List of this member's client URLs to advertise to the public.",
  },
  "listen-peer-urls": {
    kind: "value",
    default: "http://localhost:2380",
    help: "List of URLs to listen on for peer traffic.",
  },
  "initial-advertise-peer-urls": {
    kind: "value",
    default: "http://localhost:2380",
    help: "List of this member's peer URLs to advertise to the rest of the cluster.",
  },
  "initial-cluster": { kind: "value", default: "", help: "Initial cluster configuration: name=URL,name=URL,..." },
  "initial-cluster-state": {
    kind: "accepted",
    default: "new",
    accepted: ["new", "existing"],
    help: "Initial cluster state ('new' or 'existing').",
  },
  "initial-cluster-token": {
    kind: "value",
    default: "etcd-cluster",
    help: "Initial cluster token for the cluster during bootstrap.",
  },
  "heartbeat-interval": { kind: "value", default: "100", help: "Time (in milliseconds) of a heartbeat interval." },
  "election-timeout": { kind: "value", default: "1000", help: "Time (in milliseconds) for an election to timeout." },
  "snapshot-count": {
    kind: "value",
    default: "10000",
    help: "Number of committed transactions to trigger a snapshot to disk.",
  },
  "snapshot-catchup-entries": {
    kind: "value",
    default: "5000",
    help: "Number of entries for a slow follower to catch up after compacting the raft storage entries.",
  },
  "experimental-snapshot-catchup-entries": { kind: "value", default: "", help: "The same, by its older name." },
  "max-request-bytes": {
    kind: "value",
    default: "1572864",
    help: "Maximum client request size in bytes the server will accept.",
  },
  "max-txn-ops": { kind: "value", default: "128", help: "Maximum number of operations permitted in a transaction." },
  "max-concurrent-streams": {
    kind: "value",
    default: "4294967295",
    help: "Maximum concurrent streams that each client can open at a time.",
  },
  "quota-backend-bytes": {
    kind: "accepted",
    default: "0",
    accepted: ["0"],
    help: "Only 0, the default: this store enforces no quota.",
  },
  "watch-progress-notify-interval": {
    kind: "value",
    default: "10m",
    help: "Duration of periodic watch progress notifications.",
  },
  "experimental-watch-progress-notify-interval": { kind: "value", default: "", help: "The same, by its older name." },
  "log-level": {
    kind: "value",
    default: "info",
    help: "Configures log level: debug, info, warn, error, panic, or fatal.",
  },
  "log-outputs": { kind: "value", default: "default", help: "'default', 'stderr' or 'stdout', or several of them." },
  logger: {
    kind: "accepted",
    default: "zap",
    accepted: ["zap"],
    help: "Currently only 'zap', for structured logging.",
  },
  "log-format": { kind: "accepted", default: "json", accepted: ["json"], help: "Currently only 'json'." },
  "pre-vote": {
    kind: "boolean",
    default: "true",
    accepted: ["true"],
    help: "Enable to run an additional Raft election phase (always on).",
  },
  "strict-reconfig-check": {
    kind: "boolean",
    default: "true",
    accepted: ["true"],
    help: "Reject reconfiguration requests that would cause quorum loss (always on).",
  },
  "initial-election-tick-advance": {
    kind: "boolean",
    default: "true",
    help: "Whether to fast-forward initial election ticks on boot for faster election.",
  },
  metrics: {
    kind: "accepted",
    default: "basic",
    accepted: ["basic", "extensive"],
    help: "Set level of detail for exported metrics ('basic' or 'extensive'; the same here).",
  },
  version: { kind: "boolean", default: "false", help: "Show the version." },
  help: { kind: "boolean", default: "false", help: "Show the help information." },
  h: { kind: "boolean", default: "false", help: "Show the help information." },
};

const MAX_SNAPSHOT_COUNT = 1_000_000_000;

/**
 * etcd's own flag syntax (Go's): `--flag=v`, `--flag v`, one dash or two, bare booleans, the last of repeats wins; then `ETCD_FLAG` of the
 * environment for flags that were not given. Throws FlagError with a sentence.
 */
export function parseFlags(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): StoreFlags | "help" | "version" {
  const given = readArguments(argv);
  for (const name of Object.keys(FLAGS)) {
    const fromEnv = env[`ETCD_${name.toUpperCase().replaceAll("-", "_")}`];
    if (!given.has(name) && fromEnv !== undefined && fromEnv !== "")
      given.set(name, checked(name, fromEnv, `ETCD_${name.toUpperCase().replaceAll("-", "_")}`));
  }
  if (given.get("help") === "true" || given.get("h") === "true") return "help";
  if (given.get("version") === "true") return "version";
  return interpret(given);
}

function readArguments(argv: readonly string[]): Map<string, string> {
  const given = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word);
    if (match === null)
      throw word.startsWith("-") && word.length > 1
        ? new FlagError(`bad flag syntax: ${word}`, 2)
        : new FlagError(`'${word}' is not a valid flag`, 1);
    const name = match[1] ?? "";
    const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined;
    if (flag === undefined)
      throw new FlagError(`flag provided but not defined: -${name} (this store does not support it)`, 2);
    let value = match[2];
    if (value === undefined && flag.kind === "boolean") value = "true";
    if (value === undefined) {
      i++;
      value = argv[i];
      if (value === undefined) throw new FlagError(`flag needs an argument: -${name}`, 2);
    }
    given.set(name, checked(name, value, `-${name}`));
  }
  return given;
}

function checked(name: string, value: string, where: string): string {
  const flag = FLAGS[name];
  if (flag?.kind === "boolean") {
    const parsed = /^(1|t|T|TRUE|true|True)$/.test(value)
      ? "true"
      : /^(0|f|F|FALSE|false|False)$/.test(value)
        ? "false"
        : undefined;
    if (parsed === undefined)
      throw new FlagError(`invalid boolean value "${value}" for ${where}: it must be true or false`, 2);
    if (flag.accepted && !flag.accepted.includes(parsed))
      throw new FlagError(
        `${where}=${parsed} is not supported by this store: only ${flag.accepted.join(" or ")} is`,
        2,
      );
    return parsed;
  }
  if (flag?.kind === "accepted" && !flag.accepted.includes(value))
    throw new FlagError(`${where}=${value} is not supported by this store: only ${flag.accepted.join(" or ")} is`, 2);
  return value;
}

function interpret(given: ReadonlyMap<string, string>): StoreFlags {
  const text = (name: string): string => given.get(name) ?? FLAGS[name]?.default ?? "";
  const number = (name: string, least: number, most: number): number => {
    const result = z.coerce
      .number()
      .int()
      .min(least)
      .max(most)
      .safeParse(/^\d+$/.test(text(name)) ? text(name) : undefined);
    if (!result.success)
      throw new FlagError(
        `invalid value "${text(name)}" for flag -${name}: a whole number from ${least} to ${most} is needed`,
        2,
      );
    return result.data;
  };
  const either = (name: string, older: string): string => (given.has(older) && !given.has(name) ? older : name);

  const name = text("name");
  const heartbeatMs = number("heartbeat-interval", 1, 60_000);
  const electionMs = number("election-timeout", 1, 50_000);
  if (electionMs < 5 * heartbeatMs)
    throw new FlagError(
      `--election-timeout[${electionMs}ms] should be at least as 5 times as --heartbeat-interval[${heartbeatMs}ms]`,
      1,
    );
  const listenClientUrls = urls("listen-client-urls", text("listen-client-urls"));
  if (given.has("listen-client-urls") && !given.has("advertise-client-urls"))
    throw new FlagError("--advertise-client-urls is required when --listen-client-urls is set explicitly", 1);
  const initialAdvertisePeerUrls = urls("initial-advertise-peer-urls", text("initial-advertise-peer-urls"));
  const initialCluster = cluster(
    text("initial-cluster") || initialAdvertisePeerUrls.map((url) => `${name}=${url.text}`).join(","),
  );
  const self = initialCluster.find((member) => member.name === name);
  if (self === undefined)
    throw new FlagError(`couldn't find local name "${name}" in the initial cluster configuration`, 1);
  if (
    [...self.urls].sort().join() !==
    initialAdvertisePeerUrls
      .map((url) => url.text)
      .sort()
      .join()
  ) {
    throw new FlagError(
      `--initial-cluster has ${name}=${self.urls.join()} but --initial-advertise-peer-urls=${initialAdvertisePeerUrls.map((url) => url.text).join()}: they must be the same`,
      1,
    );
  }
  const levels = ["debug", "info", "warn", "error", "dpanic", "panic", "fatal"] as const;
  const logLevel = levels.find((level) => level === text("log-level"));
  if (logLevel === undefined)
    throw new FlagError(`unrecognized level: "${text("log-level")}": --log-level is one of ${levels.join(", ")}`, 1);
  const logOutputs = text("log-outputs").split(",");
  for (const output of logOutputs)
    if (!["default", "stderr", "stdout"].includes(output))
      throw new FlagError(
        `--log-outputs=${output} is not supported by this store: only default, stderr or stdout is`,
        2,
      );
  return {
    name,
    dataDir: text("data-dir") || `${name}.etcd`,
    listenClientUrls,
    advertiseClientUrls: urls("advertise-client-urls", text("advertise-client-urls")),
    listenPeerUrls: urls("listen-peer-urls", text("listen-peer-urls")),
    initialAdvertisePeerUrls,
    initialCluster,
    initialClusterToken: text("initial-cluster-token"),
    heartbeatMs,
    electionMs,
    electionTickAdvance: text("initial-election-tick-advance") === "true",
    snapshotCount: number("snapshot-count", 1, MAX_SNAPSHOT_COUNT),
    snapshotCatchUpEntries: number(
      either("snapshot-catchup-entries", "experimental-snapshot-catchup-entries"),
      1,
      MAX_SNAPSHOT_COUNT,
    ),
    logLevel,
    logOutputs,
    maxRequestBytes: number("max-request-bytes", 1, 512 * 1024 * 1024),
    maxTxnOps: number("max-txn-ops", 1, 1_000_000),
    maxConcurrentStreams: number("max-concurrent-streams", 1, 0xffff_ffff),
    progressNotifyMs: duration(
      either("watch-progress-notify-interval", "experimental-watch-progress-notify-interval"),
      text,
    ),
  };
}

/** Go's durations, as far as they make sense here: 100ms, 1.5s, 10m, 1h30m. */
function duration(name: string, text: (name: string) => string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const value = text(name);
  let total = 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(value))
    throw new FlagError(
      `invalid value "${value}" for flag -${name}: a duration such as 500ms, 10s or 10m is needed`,
      2,
    );
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (units[unit ?? ""] ?? 0);
  if (total < 1) throw new FlagError(`invalid value "${value}" for flag -${name}: it must be at least 1ms`, 2);
  return total;
}

function cluster(text: string): StoreFlags["initialCluster"] {
  const members = new Map<string, string[]>();
  for (const part of text.split(",")) {
    const at = part.indexOf("=");
    if (at <= 0) throw new FlagError(`--initial-cluster: "${part}" is not of the form name=URL`, 1);
    const [url] = urls("initial-cluster", part.slice(at + 1));
    if (url === undefined) throw new FlagError(`--initial-cluster: "${part}" names no URL`, 1);
    const name = part.slice(0, at);
    members.set(name, [...(members.get(name) ?? []), url.text]);
  }
  const seen = new Set<string>();
  for (const url of [...members.values()].flat()) {
    if (seen.has(url)) throw new FlagError(`--initial-cluster: the URL ${url} is given twice`, 1);
    seen.add(url);
  }
  return [...members].map(([name, memberUrls]) => ({ name, urls: memberUrls }));
}

function urls(flag: string, text: string): StoreUrl[] {
  return text.split(",").map((part) => {
    const trimmed = part.trim();
    let url: URL;
    try {
      url = new URL(trimmed);
    } catch {
      throw new FlagError(
        `invalid value "${text}" for flag -${flag}: "${trimmed}" is not a URL such as http://127.0.0.1:2379`,
        2,
      );
    }
    if (url.protocol === "https:")
      throw new FlagError(
        `invalid value "${text}" for flag -${flag}: TLS is not supported by this store yet; use http`,
        2,
      );
    if (url.protocol !== "http:")
      throw new FlagError(`invalid value "${text}" for flag -${flag}: URL scheme must be http: ${trimmed}`, 2);
    if (url.pathname !== "/" || url.search !== "" || trimmed.endsWith("/"))
      throw new FlagError(`invalid value "${text}" for flag -${flag}: URL must not contain a path: ${trimmed}`, 2);
    if (!/:\d+$/.test(trimmed))
      throw new FlagError(
        `invalid value "${text}" for flag -${flag}: URL address does not have the form "host:port": ${trimmed}`,
        2,
      );
    return {
      text: trimmed,
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(trimmed.slice(trimmed.lastIndexOf(":") + 1)),
    };
  });
}

export function helpText(): string {
  const lines = Object.entries(FLAGS)
    .filter(([name]) => name !== "h")
    .map(([name, flag]) => `  --${name}${flag.default === "" ? "" : ` '${flag.default}'`}\n    ${flag.help}`);
  return `Usage:\n\n  seatrial store [flags]\n    Start a member of the reference store; the flags are etcd's.\n\n  seatrial store --version\n    Show the version.\n\nFlags (each also as ETCD_FLAG_NAME in the environment):\n${lines.join("\n")}\n`;
}
