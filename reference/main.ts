import { createServer as createTcpServer } from "node:net";
import { systemClock } from "../seams/node/clock.ts";
import { nodeDisk } from "../seams/node/disk.ts";
import { systemRandom } from "../seams/node/random.ts";
import { afterInput } from "../seams/node/turn.ts";
import type { MemberConfig, MemberSpec } from "./etcd-server/config.ts";
import { StartError } from "./etcd-server/config.ts";
import { clusterId, memberId } from "./etcd-server/cluster-id.ts";
import type { StoreFlags, StoreUrl } from "./etcd-server/flags.ts";
import { Member } from "./etcd-server/member.ts";
import { FaultChannel } from "./fault-channel.ts";
import { createLog } from "./logging.ts";
import { lmdbBackend } from "./mvcc/backend-lmdb.ts";
import { NOBODY } from "./raft/types.ts";
import { hex } from "./transport/peer-protocol.ts";
import { PeerServer } from "./transport/peer-server.ts";
import { Peers } from "./transport/peers.ts";
import { ClientServer, listening } from "./transport/server.ts";
import { WalError } from "./wal/error.ts";

/** A leader has so long to hand over before this member stops anyway: the whole stop stays under a second and a half. */
const HAND_OVER_MS = 800;
/** Hundreds of reads share a round at once; what it adds to one read is less than a busy member's own turn takes. */
const GATHER_READS_MS = 2;
/** etcd's backend-batch-interval. What a crash forgets of the database, the log still has. */
const BACKEND_FLUSH_MS = 100;

export interface RunOptions {
  /** Aborted when the process is asked to stop. */
  readonly stop: AbortSignal;
  /** An inherited descriptor on which the harness steers faults. */
  readonly faultFd?: number;
  /** Where a sentence for the user goes when the member cannot start. */
  readonly complain: (sentence: string) => void;
}

/** Runs one member as this process until it is stopped. Resolves with etcd's exit code. */
export async function runStore(flags: StoreFlags, options: RunOptions): Promise<number> {
  const fds = [...new Set(flags.logOutputs.map((output) => (output === "stdout" ? 1 : 2)))];
  const log = createLog(flags.logLevel, fds);
  const config = memberConfig(flags);
  const identity = { self: config.self, clusterId: config.clusterId };
  const faults =
    options.faultFd === undefined
      ? undefined
      : new FaultChannel(nodeDisk, systemClock, `${flags.dataDir}/member/probe`);
  if (faults && options.faultFd !== undefined) faults.serve(options.faultFd);
  const clock = faults?.clock ?? systemClock;

  let member: Member | undefined;
  const peers = new Peers({
    ...identity,
    clock,
    log,
    peers: config.members.map(({ id, peerUrls }) => ({ id, url: peerUrls[0] ?? "" })),
  });
  const peerServer = new PeerServer({ ...identity, log, members: new Set(config.members.map(({ id }) => id)) }, peers);
  const clients = new ClientServer({
    clock,
    log,
    member: () => member,
    maxRequestBytes: flags.maxRequestBytes,
    maxConcurrentStreams: flags.maxConcurrentStreams,
  });
  const peerListeners: ReturnType<typeof createTcpServer>[] = [];
  const close = () => {
    for (const listener of peerListeners) listener.close();
    clients.close();
    peerServer.close();
    peers.close();
  };

  try {
    for (const url of flags.listenPeerUrls) {
      const listener = createTcpServer({ noDelay: true }, (socket) => peerServer.http.emit("connection", socket));
      await take(url, "peer", () => listening(listener, url.host, url.port));
      peerListeners.push(listener);
    }
    for (const url of flags.listenClientUrls) await take(url, "client", () => clients.listen(url.host, url.port));
    log("info", "starting a member", {
      "member-id": hex(config.self),
      "cluster-id": hex(config.clusterId),
      name: flags.name,
      "data-dir": flags.dataDir,
    });
    member = await Member.start(config, {
      clock,
      log,
      random: systemRandom(),
      disk: faults?.disk ?? nodeDisk,
      network: peers,
      afterInput,
      backend: lmdbBackend(`${flags.dataDir}/member/db`, { clock, forMs: BACKEND_FLUSH_MS }),
    });
  } catch (error) {
    close();
    const sentence = startFailure(error, flags.dataDir);
    if (sentence === undefined) throw error;
    log("error", sentence);
    options.complain(sentence);
    return 1;
  }

  const running = member;
  void announce(running, flags, log);
  const asked = new Promise<"asked">((resolve) => {
    if (options.stop.aborted) resolve("asked");
    options.stop.addEventListener("abort", () => resolve("asked"), { once: true });
  });
  const end = await Promise.race([asked, running.ended]);
  if (end === "asked") {
    log("info", "stopping: handing over leadership if this member has it");
    await running.handOver(HAND_OVER_MS);
  }
  close();
  await running.stop();
  member = undefined;
  if (end !== "asked" && end.cause !== undefined) {
    options.complain(`the member stopped: ${end.cause instanceof Error ? end.cause.message : String(end.cause)}`);
    return 1;
  }
  log("info", "stopped");
  return 0;
}

function memberConfig(flags: StoreFlags): MemberConfig {
  const members: MemberSpec[] = flags.initialCluster.map(({ name, urls }) => ({
    id: memberId(urls, flags.initialClusterToken),
    name,
    peerUrls: urls,
    clientUrls: name === flags.name ? flags.advertiseClientUrls.map((url) => url.text) : [],
  }));
  const self = members.find(({ name }) => name === flags.name);
  if (self === undefined) throw new StartError(`--initial-cluster does not name ${flags.name}`);
  return {
    self: self.id,
    clusterId: clusterId(members.map(({ id }) => id)),
    members,
    dataDir: flags.dataDir,
    heartbeatMs: flags.heartbeatMs,
    electionTicks: Math.max(2, Math.floor(flags.electionMs / flags.heartbeatMs)),
    electionTickAdvance: flags.electionTickAdvance,
    snapshotCount: flags.snapshotCount,
    catchUpEntries: flags.snapshotCatchUpEntries,
    maxRequestBytes: flags.maxRequestBytes,
    maxTxnOps: flags.maxTxnOps,
    progressNotifyMs: flags.progressNotifyMs,
    gatherReadsMs: GATHER_READS_MS,
  };
}

async function take(url: StoreUrl, kind: string, listen: () => Promise<void>): Promise<void> {
  try {
    await listen();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why = code === "EADDRINUSE" ? "bind: address already in use" : code;
    throw new StartError(
      `listen tcp ${url.host}:${url.port}: ${why}: stop what listens there, or give another --listen-${kind}-urls`,
      { cause },
    );
  }
}

/** The sentence for what a user can mend; undefined for what only we can. */
function startFailure(error: unknown, dataDir: string): string | undefined {
  if (error instanceof StartError || error instanceof WalError) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ELOCKED") return message;
  if (code !== undefined && /^E[A-Z]+$/.test(code)) return `cannot use the data directory ${dataDir}: ${message}`;
  return undefined;
}

/** etcd says that it is ready once it is part of a cluster that has a leader and has told the others its name. */
async function announce(member: Member, flags: StoreFlags, log: ReturnType<typeof createLog>): Promise<void> {
  const { clock } = member.seams;
  const published = () => member.leader !== NOBODY && member.members.isPublished();
  while (!member.stopped && !published()) await clock.sleep(5);
  if (member.stopped) return;
  for (const url of flags.listenClientUrls)
    log("info", "ready to serve client requests", {
      caller: "transport/server.ts",
      address: `${url.host}:${url.port}`,
    });
}
