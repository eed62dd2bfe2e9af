import type { IncomingHttpHeaders } from "node:http";
import type { NodeId } from "../../seams/network.ts";

/** Says that a request is of this store's own members; a real etcd sends none. Its value is the protocol's version. */
export const PROTOCOL_HEADER = "x-seatrial-peer";
export const PROTOCOL_VERSION = "1";
/** As etcd's peers name themselves, so that a proxy can cut one direction of one pair. */
export const FROM_HEADER = "x-server-from";
export const CLUSTER_HEADER = "x-etcd-cluster-id";

export const RAFT_PATH = "/seatrial/raft";
export const SNAPSHOT_PATH = "/seatrial/snapshot";
export const REQUEST_PATH = "/seatrial/request/";

export interface PeerIdentity {
  readonly self: NodeId;
  readonly clusterId: bigint;
}

export function peerHeaders({ self, clusterId }: PeerIdentity): Record<string, string> {
  return {
    [PROTOCOL_HEADER]: PROTOCOL_VERSION,
    [FROM_HEADER]: hex(self),
    [CLUSTER_HEADER]: hex(clusterId),
    "content-type": "application/octet-stream",
  };
}

export function hex(id: bigint): string {
  return id.toString(16);
}

/** Who is calling, or why they are refused: a status and a sentence. */
export function admit(
  headers: IncomingHttpHeaders,
  us: PeerIdentity,
  members: ReadonlySet<NodeId>,
): { readonly from: NodeId } | { readonly status: number; readonly why: string } {
  const protocol = headers[PROTOCOL_HEADER];
  if (protocol === undefined) {
    return {
      status: 412,
      why: "this is a member of a Seatrial reference store: it forms no cluster with etcd; point the peer URL at members of the same kind",
    };
  }
  if (protocol !== PROTOCOL_VERSION)
    return {
      status: 412,
      why: `this member speaks peer protocol ${PROTOCOL_VERSION}, not ${String(protocol)}: run the same version on every member`,
    };
  const cluster = headers[CLUSTER_HEADER];
  if (cluster !== hex(us.clusterId))
    return {
      status: 412,
      why: `cluster ID mismatch: this member is of cluster ${hex(us.clusterId)}, not ${String(cluster)}; check --initial-cluster and --initial-cluster-token`,
    };
  const from = headers[FROM_HEADER];
  if (typeof from !== "string" || !/^[0-9a-f]{1,16}$/.test(from))
    return { status: 400, why: `the header X-Server-From must name the member in hex, not ${String(from)}` };
  const id = BigInt(`0x${from}`) as NodeId;
  if (!members.has(id)) return { status: 403, why: `member ${from} is not of this cluster; check --initial-cluster` };
  return { from: id };
}
