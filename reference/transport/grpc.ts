import type {
  Metadata,
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import * as services from "../../api/etcd/services.ts";
import type { Method } from "../../api/etcd/services.ts";
import type { Log } from "../etcd-server/config.ts";
import { ClusterHandlers } from "../etcd-server/cluster.ts";
import { Code, refusal, RpcError } from "../etcd-server/errors.ts";
import { KvHandlers } from "../etcd-server/kv.ts";
import { LeaseHandlers } from "../etcd-server/lease.ts";
import { MaintenanceHandlers } from "../etcd-server/maintenance.ts";
import type { Member } from "../etcd-server/member.ts";
import { WatchHandlers } from "../etcd-server/watch-service.ts";
import { NOBODY } from "../raft/types.ts";
import { encoded } from "./encode.ts";
import type { Metrics } from "./metrics.ts";

interface Call {
  readonly metadata: Metadata;
  on(event: "cancelled", listener: () => void): unknown;
}

type Unary<I, O> = (request: I, signal: () => AbortSignal) => Promise<O>;
type Bidi<I, O> = (requests: AsyncIterable<I>, signal: AbortSignal, requiresLeader: boolean) => AsyncIterable<O>;

/** Binds the handlers of one member to a gRPC server. Handlers know nothing of gRPC; this file knows nothing of etcd's rules. */
export function bindServices(server: Server, member: () => Member | undefined, log: Log, metrics: Metrics): void {
  const binder = new Binder(server, member, log, metrics);
  const { kv, watch, lease, cluster, maintenance } = services;
  const on = <T>(make: (m: Member) => T) => {
    let made: { readonly of: Member; readonly handlers: T } | undefined;
    return (): T => {
      const m = member();
      if (m === undefined) throw refusal("stopped");
      if (made?.of !== m) made = { of: m, handlers: make(m) };
      return made.handlers;
    };
  };
  const kvs = on((m) => new KvHandlers(m));
  binder.unary(kv.range, (r) => kvs().range(r));
  binder.unary(kv.put, (r) => kvs().put(r));
  binder.unary(kv.deleteRange, (r) => kvs().deleteRange(r));
  binder.unary(kv.txn, (r) => kvs().txn(r));
  binder.unary(kv.compact, (r) => kvs().compact(r));
  const watches = on((m) => new WatchHandlers(m));
  binder.bidi(watch.watch, (requests, signal, requiresLeader) => watches().watch(requests, signal, requiresLeader));
  const leases = on((m) => new LeaseHandlers(m));
  binder.unary(lease.leaseGrant, (r) => leases().leaseGrant(r));
  binder.unary(lease.leaseRevoke, (r) => leases().leaseRevoke(r));
  binder.unary(lease.leaseTimeToLive, (r, signal) => leases().leaseTimeToLive(r, signal()));
  binder.unary(lease.leaseLeases, () => leases().leaseLeases());
  binder.bidi(lease.leaseKeepAlive, (requests, signal) => leases().leaseKeepAlive(requests, signal));
  const clusters = on((m) => new ClusterHandlers(m));
  binder.unary(cluster.memberList, (r) => clusters().memberList(r));
  binder.unary(cluster.memberAdd, () => clusters().memberAdd());
  binder.unary(cluster.memberRemove, () => clusters().memberRemove());
  binder.unary(cluster.memberUpdate, () => clusters().memberUpdate());
  binder.unary(cluster.memberPromote, () => clusters().memberPromote());
  const maintained = on((m) => new MaintenanceHandlers(m));
  binder.unary(maintenance.status, () => maintained().status());
  binder.unary(maintenance.hash, () => maintained().hash());
  binder.unary(maintenance.hashKV, (r) => maintained().hashKV(r));
  binder.unary(maintenance.alarm, (r) => maintained().alarm(r));
  binder.unary(maintenance.defragment, () => maintained().defragment());
  binder.unary(maintenance.moveLeader, () => maintained().moveLeader());
  binder.unary(maintenance.downgrade, () => maintained().downgrade());
  binder.serverStream(maintenance.snapshot, () => maintained().snapshot());
}

class Binder {
  readonly #server: Server;
  readonly #member: () => Member | undefined;
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor(server: Server, member: () => Member | undefined, log: Log, metrics: Metrics) {
    this.#server = server;
    this.#member = member;
    this.#log = log;
    this.#metrics = metrics;
  }

  unary<I, O>(method: Method<I, O>, handle: Unary<I, O>): void {
    this.#add(method, (call: ServerUnaryCall<I, O>, answer: sendUnaryData<O>) => {
      const signal = () => signalOf(call);
      const run = async () => {
        this.#checkLeader(call);
        return await handle(call.request, signal);
      };
      run().then(
        (message) => {
          this.#metrics.handled(method.path, Code.ok);
          answer(null, message);
        },
        (error: unknown) => answer(this.#status(method.path, error), null),
      );
    });
  }

  bidi<I, O>(method: Method<I, O>, handle: Bidi<I, O>): void {
    this.#add(method, (call: ServerDuplexStream<I, O>) => {
      const signal = signalOf(call);
      void this.#pump(method.path, call, signal, () => handle(messages(call, signal), signal, requiresLeader(call)));
    });
  }

  serverStream<I, O>(method: Method<I, O>, handle: () => AsyncIterable<O>): void {
    this.#add(method, (call: ServerWritableStream<I, O>) => void this.#pump(method.path, call, signalOf(call), handle));
  }

  /** Writes what the handler yields, no faster than the client reads. */
  async #pump<I, O>(
    path: string,
    call: ServerDuplexStream<I, O> | ServerWritableStream<I, O>,
    signal: AbortSignal,
    open: () => AsyncIterable<O>,
  ): Promise<void> {
    try {
      this.#checkLeader(call);
      for await (const message of open()) {
        if (signal.aborted) break;
        if (!call.write(message)) await drained(call, signal);
      }
      this.#metrics.handled(path, Code.ok);
      call.end();
    } catch (error) {
      // A client that went away hears no error.
      if (signal.aborted) this.#metrics.handled(path, Code.canceled);
      else call.emit("error", this.#status(path, error));
    }
  }

  #add<I, O>(method: Method<I, O>, handler: unknown): void {
    const name = method.path.slice(method.path.lastIndexOf("/") + 1);
    this.#server.addService(
      {
        [name]: {
          path: method.path,
          requestStream: method.requestStream,
          responseStream: method.responseStream,
          requestSerialize: (message: I) => asBuffer(encoded(method.request, message)),
          requestDeserialize: (bytes: Buffer) => method.request.decode(bytes),
          responseSerialize: (message: O) => asBuffer(encoded(method.response, message)),
          responseDeserialize: (bytes: Buffer) => method.response.decode(bytes),
          originalName: name,
        },
      },
      { [name]: handler } as UntypedServiceImplementation,
    );
  }

  /** A client may ask not to be served by a member that knows of no leader. */
  #checkLeader(call: Call): void {
    const member = this.#member();
    if (member === undefined) throw refusal("stopped");
    if (requiresLeader(call) && member.leader === NOBODY) throw refusal("noLeader");
  }

  #status(path: string, error: unknown): { code: number; details: string; name: string; message: string } {
    const known =
      error instanceof RpcError
        ? error
        : new RpcError(Code.unknown, error instanceof Error ? error.message : String(error));
    if (!(error instanceof RpcError))
      this.#log("error", "a request met an unexpected error", {
        path,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    this.#metrics.handled(path, known.code);
    return { code: known.code, details: known.message, name: "RpcError", message: known.message };
  }
}

function requiresLeader(call: Call): boolean {
  return call.metadata.get("hasleader").includes("true");
}

function signalOf(call: Call): AbortSignal {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort(refusal("canceled")));
  return controller.signal;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The client's messages, one at a time: nothing is read ahead of the handler. */
async function* messages<I, O>(call: ServerDuplexStream<I, O>, signal: AbortSignal): AsyncIterable<I> {
  try {
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as I;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function drained(
  call: { once(event: string, listener: () => void): unknown; off(event: string, listener: () => void): unknown },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      call.off("drain", over);
      signal.removeEventListener("abort", over);
      resolve();
    };
    call.once("drain", over);
    signal.addEventListener("abort", over, { once: true });
    if (signal.aborted) over();
  });
}
