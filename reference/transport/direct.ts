import * as services from "../../api/etcd/services.ts";
import type { Codec, Method } from "../../api/etcd/services.ts";
import { Code, RpcError } from "../etcd-server/errors.ts";
import { KvHandlers } from "../etcd-server/kv.ts";
import { LeaseHandlers } from "../etcd-server/lease.ts";
import { MaintenanceHandlers } from "../etcd-server/maintenance.ts";
import type { Member } from "../etcd-server/member.ts";
import { WatchHandlers } from "../etcd-server/watch-service.ts";

/** One member's services by method path, bytes in and bytes out, without sockets. Fails with RpcError alone. */
export interface DirectServices {
  unary(path: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  stream(path: string, requests: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

type Unary = (request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;
type Stream = (requests: AsyncIterable<Uint8Array>, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** What the gRPC server does with a member, for a caller in the same process: client and member share no object, as over a socket. */
export function directServices(member: Member): DirectServices {
  const { kv, lease, watch, maintenance } = services;
  const kvs = new KvHandlers(member);
  const leases = new LeaseHandlers(member);
  const watches = new WatchHandlers(member);
  const maintained = new MaintenanceHandlers(member);
  const unaries = new Map<string, Unary>([
    unary(kv.range, (request) => kvs.range(request)),
    unary(kv.put, (request) => kvs.put(request)),
    unary(kv.deleteRange, (request) => kvs.deleteRange(request)),
    unary(kv.txn, (request) => kvs.txn(request)),
    unary(kv.compact, (request) => kvs.compact(request)),
    unary(lease.leaseGrant, (request) => leases.leaseGrant(request)),
    unary(lease.leaseRevoke, (request) => leases.leaseRevoke(request)),
    unary(lease.leaseTimeToLive, (request, signal) => leases.leaseTimeToLive(request, signal)),
    unary(lease.leaseLeases, () => leases.leaseLeases()),
    unary(maintenance.status, () => maintained.status()),
    unary(maintenance.hashKV, (request) => maintained.hashKV(request)),
  ]);
  const streams = new Map<string, Stream>([
    stream(watch.watch, (requests, signal) => watches.watch(requests, signal)),
    stream(lease.leaseKeepAlive, (requests, signal) => leases.leaseKeepAlive(requests, signal)),
  ]);
  return {
    unary: async (path, request, signal) => {
      const serve = unaries.get(path);
      if (serve === undefined) throw new RpcError(Code.unimplemented, `unknown method ${path}`);
      return await known(serve(request, signal));
    },
    async *stream(path, requests, signal) {
      const serve = streams.get(path);
      if (serve === undefined) throw new RpcError(Code.unimplemented, `unknown method ${path}`);
      try {
        yield* serve(requests, signal);
      } catch (error) {
        throw asRpcError(error);
      }
    },
  };
}

function unary<I, O>(
  method: Method<I, O>,
  handle: (request: I, signal: AbortSignal) => Promise<O>,
): readonly [string, Unary] {
  return [
    method.path,
    async (request, signal) => encoded(method.response, await handle(method.request.decode(request), signal)),
  ];
}

function stream<I, O>(
  method: Method<I, O>,
  handle: (requests: AsyncIterable<I>, signal: AbortSignal) => AsyncIterable<O>,
): readonly [string, Stream] {
  return [
    method.path,
    async function* (requests, signal) {
      for await (const answer of handle(decodedEach(method.request, requests), signal))
        yield encoded(method.response, answer);
    },
  ];
}

async function* decodedEach<I>(codec: Codec<I>, requests: AsyncIterable<Uint8Array>): AsyncIterable<I> {
  for await (const request of requests) yield codec.decode(request);
}

function encoded<O>(codec: Codec<O>, message: O): Uint8Array {
  return codec.encode(message).finish();
}

async function known<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asRpcError(error);
  }
}

/** As the gRPC server does: what no handler foresaw is told as "unknown" with its text. */
function asRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  return new RpcError(Code.unknown, error instanceof Error ? error.message : String(error));
}
