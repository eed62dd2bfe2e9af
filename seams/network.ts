/** A member's 64-bit id, as etcd's. 0n is "nobody". */
export type NodeId = bigint & { readonly __brand: "NodeId" };

/** What arrives from other members. `from` is whom the link says it is. */
export interface NetworkHandler {
  /** One consensus message, as bytes. */
  message(from: NodeId, bytes: Uint8Array): void;
  /** A snapshot stream; resolving acknowledges that it is durable here. */
  snapshot(from: NodeId, stream: AsyncIterable<Uint8Array>): Promise<void>;
  /** A request that only the leader can answer (lease keepalive and the like), forwarded by a follower. */
  request(from: NodeId, method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

/**
 * Links to the other members. Messages may be lost, delayed or reordered; nothing is retried here, and none comes twice: a forwarded proposal would be applied twice.
 * Real: `reference/transport/peers.ts`; simulated: `simulation/network.ts`.
 */
export interface Network {
  send(to: NodeId, bytes: Uint8Array): void;
  sendSnapshot(to: NodeId, stream: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  request(to: NodeId, method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  receive(handler: NetworkHandler): Disposable;
}
