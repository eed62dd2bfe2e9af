import type { Proxy } from "./proxy.ts";

/**
 * Prometheus text with Toxiproxy's two series, live (the original counts a connection when it ends). A flow counts what it handed
 * on, so what toxics hold or swallowed is in neither.
 */
export function metricsText(proxies: readonly Proxy[]): string {
  return ["received", "sent"]
    .flatMap((what) => [
      `# HELP toxiproxy_proxy_${what}_bytes_total `,
      `# TYPE toxiproxy_proxy_${what}_bytes_total counter`,
      ...proxies.flatMap((proxy) =>
        (["upstream", "downstream"] as const).map((direction) => {
          const labels = Object.entries({
            direction,
            listener: proxy.listen,
            proxy: proxy.name,
            upstream: proxy.upstream,
          });
          const text = labels
            .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`)
            .join(",");
          return `toxiproxy_proxy_${what}_bytes_total{${text}} ${proxy.counters[`${direction}Bytes`]}`;
        }),
      ),
    ])
    .concat("")
    .join("\n");
}
