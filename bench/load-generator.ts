import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from "node:http2";
import { build, type Histogram } from "hdr-histogram-js";
import { seededRandom } from "../seams/random.ts";
import { wireCall } from "../harness/clients/wire.ts";

export type LoadKind = "put" | "range";

/** One stretch of closed-loop load. `clients` wait for an answer each before they send again, and go round the endpoints. */
export interface LoadOrder {
  readonly kind: LoadKind;
  /** host:port of each member. */
  readonly endpoints: readonly string[];
  readonly clients: number;
  readonly warmMs: number;
  readonly measureMs: number;
}

/** What was done while it was measured. */
export interface LoadFigures {
  readonly operations: number;
  readonly seconds: number;
  /** By gRPC status and message, or the connection's error code. */
  readonly errors: Readonly<Record<string, number>>;
  readonly p50Us: number;
  readonly p99Us: number;
  /** This process's own CPU time. */
  readonly generatorCpuUs: number;
}

export type FromGenerator =
  | { readonly type: "measuring" }
  | { readonly type: "figures"; readonly figures: LoadFigures }
  | { readonly type: "failed"; readonly message: string };

const KEYS = 1_024;
const VALUE_BYTES = 256;
const CONNECTIONS_PER_ENDPOINT = 4;
const random = seededRandom("bench");

/** Requests are framed once, before anything is measured: what is compared is the stores, not an encoder. */
const requests: Readonly<Record<LoadKind, { readonly path: string; readonly frames: readonly Buffer[] }>> = {
  put: framed(keys().map((key) => wireCall({ f: "put", key, value: text(VALUE_BYTES) }))),
  range: framed(keys().map((key) => wireCall({ f: "range", key }))),
};

process.on("message", (order: LoadOrder) => {
  run(order).then(
    (figures) => tell({ type: "figures", figures }),
    (error: unknown) => tell({ type: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
});

async function run(order: LoadOrder): Promise<LoadFigures> {
  const sessions = await Promise.all(
    order.endpoints.map((endpoint) =>
      Promise.all(Array.from({ length: Math.min(CONNECTIONS_PER_ENDPOINT, order.clients) }, () => opened(endpoint))),
    ),
  );
  const stretch = new Stretch();
  const { path, frames } = requests[order.kind];
  const clients = Array.from({ length: order.clients }, async (_, client) => {
    for (let turn = client; !stretch.over; turn++) {
      const session =
        sessions[turn % sessions.length]?.[
          (client % CONNECTIONS_PER_ENDPOINT) % Math.min(CONNECTIONS_PER_ENDPOINT, order.clients)
        ];
      const frame = frames[random.below(frames.length)];
      if (session === undefined || frame === undefined) throw new Error("no session or request to use");
      const begun = performance.now();
      stretch.count(await call(session, path, frame), begun);
    }
  });
  await wait(order.warmMs);
  tell({ type: "measuring" });
  stretch.begin();
  await wait(order.measureMs);
  const figures = stretch.end();
  await Promise.all(clients);
  for (const session of sessions.flat()) session.close();
  return figures;
}

/** The part of a run that counts: what completes between `begin` and `end`. */
class Stretch {
  over = false;
  #from = Number.POSITIVE_INFINITY;
  #cpu = process.cpuUsage();
  #operations = 0;
  readonly #errors: Record<string, number> = {};
  readonly #histogram: Histogram = build({
    autoResize: true,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });

  begin(): void {
    this.#from = performance.now();
    this.#cpu = process.cpuUsage();
  }

  count(error: string | undefined, begun: number): void {
    const now = performance.now();
    if (this.over || now < this.#from) return;
    if (error === undefined) {
      this.#operations += 1;
      this.#histogram.recordValue(Math.round((now - begun) * 1_000));
    } else {
      this.#errors[error] = (this.#errors[error] ?? 0) + 1;
    }
  }

  end(): LoadFigures {
    this.over = true;
    const cpu = process.cpuUsage(this.#cpu);
    return {
      operations: this.#operations,
      seconds: (performance.now() - this.#from) / 1_000,
      errors: this.#errors,
      p50Us: this.#histogram.getValueAtPercentile(50),
      p99Us: this.#histogram.getValueAtPercentile(99),
      generatorCpuUs: cpu.user + cpu.system,
    };
  }
}

/** Resolves to undefined for OK, else to what went wrong. node:http2 itself: half the cost of a gRPC library, and both stores get the same. */
function call(session: ClientHttp2Session, path: string, frame: Buffer): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status = "ended without a gRPC status";
    const read = (headers: IncomingHttpHeaders) => {
      const code = headers["grpc-status"];
      if (code !== undefined) status = code === "0" ? "" : `${String(code)} ${String(headers["grpc-message"] ?? "")}`;
    };
    stream.on("response", read);
    stream.on("trailers", read);
    stream.on("error", (error) => (status = "code" in error ? String(error.code) : error.message));
    stream.on("close", () => resolve(status === "" ? undefined : status));
    stream.resume();
    stream.end(frame);
  });
}

function opened(endpoint: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${endpoint}`);
    session.once("error", reject);
    session.once("remoteSettings", () => {
      // Later errors end the streams under way, which count them.
      session.on("error", () => undefined);
      resolve(session);
    });
  });
}

function framed(calls: readonly { readonly path: string; readonly request: Uint8Array }[]) {
  const frames = calls.map(({ request }) => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(request.length, 1);
    return Buffer.concat([head, request]);
  });
  return { path: calls[0]?.path ?? "", frames };
}

function keys(): readonly string[] {
  return Array.from({ length: KEYS }, (_, index) => `bench/${String(index).padStart(10, "0")}`);
}

function text(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(97 + random.below(26))).join("");
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tell(message: FromGenerator): void {
  process.send?.(message);
}
