import { Worker } from "node:worker_threads";
import type { Clock } from "../seams/clock.ts";
import { entryUrl } from "../seams/node/entry.ts";
import { entropySeed } from "../seams/node/random.ts";
import type { ProxySpec } from "./server.ts";

export type { ProxySpec } from "./server.ts";
export type { Rule, RuleAction } from "./rules.ts";

/** The proxies of one run. Disposing ends every connection through them. */
export interface Links extends AsyncDisposable {
  /** Base URL of the Toxiproxy-compatible API: `http://127.0.0.1:port`. */
  readonly apiUrl: string;
  /** `127.0.0.1:port` on which the proxy of this name listens; throws for a name that `startLinks` was not given. */
  address(name: string): string;
}

export interface WorkerInput {
  readonly proxies: readonly ProxySpec[];
  readonly seed: number;
}

export type FromWorker =
  | { readonly type: "ready"; readonly apiUrl: string; readonly addresses: Readonly<Record<string, string>> }
  | { readonly type: "failed"; readonly message: string };

const START_LIMIT_MS = 20_000;
const STOP_LIMIT_MS = 2_000;

/**
 * Starts the proxies on a thread of their own: the recording clients' event loop must not queue behind bytes that are only passing
 * (it would show as latency that the store does not have), and a thread, unlike a child process, cannot outlive a killed harness.
 * Rejects with one sentence if a port is taken.
 */
export async function startLinks(options: {
  readonly proxies: readonly ProxySpec[];
  readonly clock: Clock;
  /** Decides jitter and toxicity; fresh by default. */
  readonly seed?: number;
}): Promise<Links> {
  const workerInput: WorkerInput = { proxies: options.proxies, seed: options.seed ?? entropySeed() };
  const worker = new Worker(entryUrl(import.meta.url, "./worker"), { workerData: workerInput, name: "links" });
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const started = new AbortController();
  try {
    const ready = await Promise.race([
      firstMessage(worker),
      options.clock
        .sleep(START_LIMIT_MS, started.signal)
        .then((): FromWorker => ({ type: "failed", message: `not ready within ${START_LIMIT_MS} ms` })),
    ]);
    if (ready.type === "failed") throw new Error(`The proxy between the processes did not start: ${ready.message}`);
    worker.unref();
    return {
      apiUrl: ready.apiUrl,
      address(name) {
        const address = ready.addresses[name];
        if (address === undefined)
          throw new Error(`There is no proxy "${name}": ${Object.keys(ready.addresses).join(", ")}`);
        return address;
      },
      async [Symbol.asyncDispose]() {
        worker.ref();
        worker.postMessage("stop");
        const stopped = new AbortController();
        await Promise.race([exited, options.clock.sleep(STOP_LIMIT_MS, stopped.signal).catch(() => undefined)]);
        stopped.abort();
        await worker.terminate();
      },
    };
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    started.abort();
  }
}

function firstMessage(worker: Worker): Promise<FromWorker> {
  return new Promise((resolve, reject) => {
    // Listens for the start alone: an error later has no listener, so that a proxy that died stops the run instead of looking like a fault.
    const settle = (then: () => void) => {
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      then();
    };
    const onMessage = (message: FromWorker) => settle(() => resolve(message));
    const onError = (error: unknown) => settle(() => reject(error));
    const onExit = (code: number) =>
      settle(() => reject(new Error(`The proxy's thread ended with ${code} before it was ready.`)));
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
  });
}
