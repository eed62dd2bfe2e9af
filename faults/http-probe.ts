import { connect } from "node:net";
import type { Clock, DurationMs } from "../seams/clock.ts";

/** What came of one request on a connection of its own. `closed`: ended without an answer, by a reset or refusal (`code`) or quietly. */
export type HttpProbe =
  | { readonly result: "answered"; readonly status: number; readonly elapsedMs: number }
  | { readonly result: "closed"; readonly code?: string; readonly elapsedMs: number }
  | { readonly result: "silent"; readonly elapsedMs: number };

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})/;

/** `GET /version`, which etcd and ours answer on the client and the peer port, with a majority or without. Any HTTP answer counts. Never rejects. */
export async function httpProbe(
  clock: Clock,
  address: string,
  options: {
    readonly withinMs: DurationMs;
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal;
  },
): Promise<HttpProbe> {
  const [host, port] = split(address);
  const started = clock.now();
  const elapsedMs = () => clock.now() - started;
  const done = new AbortController();
  const stop = options.signal === undefined ? done.signal : AbortSignal.any([done.signal, options.signal]);
  const socket = connect({ host, port });
  const outcome = new Promise<HttpProbe>((resolve) => {
    let text = "";
    socket.once("connect", () => {
      const headers = Object.entries({ Host: address, Connection: "close", ...options.headers });
      socket.write(`GET /version HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    });
    socket.on("data", (data) => {
      text += data.toString("latin1");
      const status = STATUS_LINE.exec(text)?.[1];
      if (status !== undefined) resolve({ result: "answered", status: Number(status), elapsedMs: elapsedMs() });
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      resolve({ result: "closed", code: error.code ?? error.message, elapsedMs: elapsedMs() }),
    );
    socket.once("close", () => resolve({ result: "closed", elapsedMs: elapsedMs() }));
  });
  const silence = clock.sleep(options.withinMs, stop).then(
    () => undefined,
    () => undefined,
  );
  const result = (await Promise.race([outcome, silence])) ?? { result: "silent", elapsedMs: elapsedMs() };
  done.abort();
  socket.destroy();
  return result;
}

/** In words, for a reading: "answered 200 in 2 ms", "ended with ECONNRESET", "gave no answer in 1000 ms". */
export function inWords(probe: HttpProbe): string {
  const ms = `${probe.elapsedMs.toFixed(probe.elapsedMs < 10 ? 1 : 0)} ms`;
  if (probe.result === "answered") return `answered ${probe.status} in ${ms}`;
  if (probe.result === "silent") return `gave no answer in ${ms}`;
  return probe.code === undefined ? `closed without an answer in ${ms}` : `ended with ${probe.code} in ${ms}`;
}

function split(address: string): readonly [string, number] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon), Number(address.slice(colon + 1))];
}
