import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { Member } from "../etcd-server/member.ts";
import { ETCD_VERSION } from "../etcd-server/version.ts";
import { NOBODY } from "../raft/types.ts";
import { hex } from "./peer-protocol.ts";

const CODE_NAMES: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** etcd's own series, as far as this store has the thing they measure; read from the member at each scrape. */
export class Metrics {
  readonly registry = new Registry();
  readonly #counts = new Map<string, Map<number, number>>();

  constructor(member: () => Member | undefined) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    new Gauge({
      name: "etcd_server_version",
      help: "Which version is running. 1 for 'server_version' label with current version.",
      labelNames: ["server_version"],
      registers,
    }).set({ server_version: ETCD_VERSION }, 1);
    const gauge = (name: string, help: string, read: (m: Member) => number) => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          const m = member();
          if (m !== undefined && !m.stopped && !m.installing) this.set(read(m));
        },
      });
    };
    gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.", (m) =>
      Number(m.leader !== NOBODY),
    );
    gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.", (m) =>
      Number(m.isLeader),
    );
    gauge("etcd_server_leader_changes_seen_total", "The number of leader changes seen.", (m) => m.leaderChanges);
    gauge(
      "etcd_server_proposals_committed_total",
      "The total number of consensus proposals committed.",
      (m) => m.status().commit,
    );
    gauge(
      "etcd_server_proposals_applied_total",
      "The total number of consensus proposals applied.",
      (m) => m.status().applied,
    );
    gauge(
      "etcd_server_proposals_pending",
      "The current number of pending proposals to commit.",
      (m) => m.pendingProposals,
    );
    gauge(
      "etcd_mvcc_db_total_size_in_bytes",
      "Total size of the underlying database physically allocated in bytes.",
      (m) => m.sizeBytes().allocated,
    );
    gauge(
      "etcd_mvcc_db_total_size_in_use_in_bytes",
      "Total size of the underlying database logically in use in bytes.",
      (m) => m.sizeBytes().inUse,
    );
    gauge("etcd_debugging_mvcc_current_revision", "The current revision of store.", (m) => m.hub.revision);
    gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.", (m) => m.hub.counts().watchers);
    gauge(
      "etcd_debugging_mvcc_slow_watcher_total",
      "Total number of unsynced slow watchers.",
      (m) => m.hub.counts().slow,
    );
    gauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.", (m) => m.hub.counts().streams);
    new Gauge({
      name: "etcd_server_id",
      help: "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      labelNames: ["server_id"],
      registers,
      collect() {
        const m = member();
        if (m !== undefined) this.set({ server_id: hex(m.id) }, 1);
      },
    });
    const counts = this.#counts;
    new Counter({
      name: "grpc_server_handled_total",
      help: "Total number of RPCs completed on the server, regardless of success or failure.",
      labelNames: ["grpc_service", "grpc_method", "grpc_code"],
      registers,
      collect() {
        this.reset();
        for (const [path, codes] of counts) {
          const [, service = "", method = ""] = path.split("/");
          for (const [code, count] of codes)
            this.inc(
              { grpc_service: service, grpc_method: method, grpc_code: CODE_NAMES[code] ?? String(code) },
              count,
            );
        }
      },
    });
  }

  /** One call ended. Counted plainly here and turned into series at the scrape: this is on the path of each request. */
  handled(path: string, code: number): void {
    let codes = this.#counts.get(path);
    if (codes === undefined) this.#counts.set(path, (codes = new Map()));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
}
