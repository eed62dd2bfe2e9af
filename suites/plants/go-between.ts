import {
  Client,
  credentials,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { kv, lease, maintenance, type Method, watch } from "../../api/etcd/services.ts";
import { type Lie, tampering, type Tampering } from "./lies.ts";

export type { Lie } from "./lies.ts";

export interface GoBetween extends AsyncDisposable {
  readonly address: string;
  /** How often it has lied so far. */
  lies(): number;
}

const METHODS: readonly Method<never, never>[] = [kv, watch, lease, { status: maintenance.status }].flatMap(
  (service) => Object.values(service) as Method<never, never>[],
);
const asIs = (bytes: Buffer) => bytes;

/** A gRPC service in front of one member that passes every call on, except when it lies. For tests. */
export async function startGoBetween(member: string, lie: Lie): Promise<GoBetween> {
  let lies = 0;
  const tamper = tampering(lie, () => lies++);
  const client = new Client(member, credentials.createInsecure(), { "grpc.enable_retries": 0 });
  const definition: Record<string, ServiceDefinition[string]> = {};
  const handlers: Record<string, UntypedServiceImplementation[string]> = {};
  for (const { path, requestStream, responseStream } of METHODS) {
    definition[path] = {
      path,
      requestStream,
      responseStream,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    handlers[path] = requestStream ? bidi(client, path, tamper) : unary(client, path, tamper);
  }
  const server = new Server();
  server.addService(definition as ServiceDefinition, handlers as UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return {
    address: `127.0.0.1:${port}`,
    lies: () => lies,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      client.close();
    },
  };
}

function unary(client: Client, path: string, tamper: Tampering): handleUnaryCall<Buffer, Buffer> {
  return (call, answer) => {
    const pass = (request: Uint8Array) =>
      new Promise<Uint8Array>((resolve, reject) => {
        const options = { deadline: call.getDeadline() };
        client.makeUnaryRequest(path, asIs, asIs, Buffer.from(request), call.metadata, options, (error, bytes) => {
          if (error === null && bytes !== undefined) resolve(bytes);
          else reject(error ?? new Error("no answer"));
        });
      });
    const answered = tamper.unary === undefined ? pass(call.request) : tamper.unary(path, call.request, pass);
    answered.then(
      (bytes) => answer(null, Buffer.from(bytes)),
      (error: ServiceError) => answer(error),
    );
  };
}

function bidi(client: Client, path: string, tamper: Tampering): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    const onward = client.makeBidiStreamRequest<Buffer, Buffer>(path, asIs, asIs, call.metadata, {});
    call.on("data", (bytes: Buffer) => onward.write(bytes));
    call.on("end", () => onward.end());
    call.on("cancelled", () => onward.cancel());
    call.on("error", () => onward.cancel());
    onward.on("data", (bytes: Buffer) => {
      const told = path === watch.watch.path && tamper.watched !== undefined ? tamper.watched(bytes) : bytes;
      if (told !== undefined) call.write(Buffer.from(told));
    });
    onward.on("error", (error) => call.destroy(error));
    onward.on("end", () => call.end());
  };
}
