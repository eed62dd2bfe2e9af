import { createHash } from "node:crypto";
import type { NodeId } from "../../seams/network.ts";

/** etcd's computeMemberID: the first eight bytes of SHA-1 over the sorted peer URLs and the cluster token. */
export function memberId(peerUrls: readonly string[], token: string): NodeId {
  return firstEight([...peerUrls].sort().join("") + token) as NodeId;
}

/** etcd's RaftCluster.genID: the same over all member ids, sorted, eight bytes each. */
export function clusterId(members: readonly NodeId[]): bigint {
  const bytes = Buffer.alloc(8 * members.length);
  [...members].sort((a, b) => (a < b ? -1 : 1)).forEach((id, i) => bytes.writeBigUInt64BE(id, 8 * i));
  return firstEight(bytes);
}

function firstEight(data: string | Buffer): bigint {
  return createHash("sha1").update(data).digest().readBigUInt64BE(0);
}
