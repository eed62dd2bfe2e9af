import type { AddressInfo } from "node:net";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import { createApi } from "./api.ts";
import { ProxySet } from "./proxies.ts";

export interface ProxySpec {
  readonly name: string;
  /** host:port that connections are passed to. */
  readonly upstream: string;
  /** host:port to listen on; a free port of 127.0.0.1 by default. */
  readonly listen?: string;
}

export interface ServedLinks {
  readonly apiUrl: string;
  /** Where each of the proxies asked for listens. */
  readonly addresses: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Proxies and their API on this thread's event loop. Programs want `startLinks`; tests of the proxy itself this. */
export async function serveLinks(options: {
  readonly proxies: readonly ProxySpec[];
  readonly apiListen?: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly random: Random;
}): Promise<ServedLinks> {
  const proxies = new ProxySet({ clock: options.clock, random: options.random });
  const api = createApi(proxies);
  try {
    for (const { name, upstream, listen } of options.proxies)
      await proxies.create({ name, upstream, listen: listen ?? "", enabled: true });
    await new Promise<void>((resolve, reject) => {
      api.once("error", reject);
      api.listen(options.apiListen ?? { host: "127.0.0.1", port: 0 }, resolve);
    });
  } catch (error) {
    await proxies.stop();
    throw error;
  }
  const { address, port } = api.address() as AddressInfo;
  return {
    apiUrl: `http://${address}:${port}`,
    addresses: Object.fromEntries(proxies.all().map((proxy) => [proxy.name, proxy.listen])),
    async stop() {
      const closed = new Promise<void>((resolve) => api.close(() => resolve()));
      api.closeAllConnections();
      await Promise.all([closed, proxies.stop()]);
    },
  };
}
