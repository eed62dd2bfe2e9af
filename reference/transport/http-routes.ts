import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../seams/clock.ts";
import type { Member } from "../etcd-server/member.ts";
import { CLUSTER_VERSION, ETCD_VERSION, STORAGE_VERSION } from "../etcd-server/version.ts";
import { NOBODY } from "../raft/types.ts";
import type { Metrics } from "./metrics.ts";

const HEALTH_TIMEOUT_MS = 5000;

export interface Routes {
  readonly member: () => Member | undefined;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

interface Check {
  readonly name: string;
  /** Resolves to what is wrong, or undefined. */
  readonly run: (member: Member) => Promise<string | undefined>;
}

/** The HTTP side of the client port: health, version, metrics. */
export async function serveHttp(
  { member, metrics, clock }: Routes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://member");
  const text = (status: number, body: string, type = "text/plain; charset=utf-8") =>
    void response.writeHead(status, { "content-type": type }).end(body);
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "Method Not Allowed\n");
  const linearizable: Check = { name: "linearizable_read", run: (m) => readable(m, clock) };
  const serializable: Check = { name: "serializable_read", run: async (m) => void m.machine.mvcc.currentRevision };
  const corruption: Check = {
    name: "data_corruption",
    run: async (m) => (m.machine.alarms.some(({ alarm }) => alarm === 2) ? "alarm activated: CORRUPT" : undefined),
  };
  const [, route = "", check] = url.pathname.split("/");
  switch (route) {
    case "version":
      return text(
        200,
        JSON.stringify({ etcdserver: ETCD_VERSION, etcdcluster: CLUSTER_VERSION, storage: STORAGE_VERSION }),
        "application/json",
      );
    case "metrics":
      return text(200, await metrics.registry.metrics(), metrics.registry.contentType);
    case "health": {
      const why = await health(member(), url.searchParams, clock);
      return text(
        why === "" ? 200 : 503,
        JSON.stringify({ health: String(why === ""), reason: why }),
        "application/json",
      );
    }
    case "livez":
      return await probe(member(), [serializable], check, url.searchParams, text);
    case "readyz":
      return await probe(member(), [corruption, serializable, linearizable], check, url.searchParams, text);
    default:
      return text(404, "404 page not found\n");
  }
}

/** etcd's reasons, "" if healthy. */
async function health(member: Member | undefined, query: URLSearchParams, clock: Clock): Promise<string> {
  if (member === undefined || member.stopped) return "SERVER STOPPED";
  const excluded = query.getAll("exclude");
  try {
    for (const { alarm } of member.machine.alarms) {
      const name = alarm === 1 ? "NOSPACE" : "CORRUPT";
      if (!excluded.includes(name)) return `ALARM ${name}`;
    }
    if (query.get("serializable") === "true") return "";
    if (member.leader === NOBODY) return "RAFT NO LEADER";
    const wrong = await readable(member, clock);
    return wrong === undefined ? "" : `QGET ERROR:${wrong}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function readable(member: Member, clock: Clock): Promise<string | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([
      member.linearizable().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
      clock.sleep(HEALTH_TIMEOUT_MS, over.signal).then(
        () => "etcdserver: request timed out",
        () => undefined,
      ),
    ]);
  } finally {
    over.abort();
  }
}

async function probe(
  member: Member | undefined,
  checks: readonly Check[],
  only: string | undefined,
  query: URLSearchParams,
  text: (status: number, body: string) => void,
): Promise<void> {
  const wanted =
    only === undefined
      ? checks.filter(({ name }) => !query.getAll("exclude").includes(name))
      : checks.filter(({ name }) => name === only);
  if (wanted.length === 0 && only !== undefined) return text(404, "404 page not found\n");
  const lines: string[] = [];
  let healthy = true;
  for (const { name, run } of wanted) {
    const wrong = member === undefined ? "not started" : await run(member).catch((error: unknown) => String(error));
    if (wrong !== undefined) healthy = false;
    lines.push(wrong === undefined ? `[+]${name} ok` : `[-]${name} failed: ${wrong}`);
  }
  if (healthy) return text(200, query.has("verbose") ? `${lines.join("\n")}\nok\n` : "ok\n");
  return text(503, `${lines.join("\n")}\n`);
}
