import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { ApiError } from "./errors.ts";
import { metricsText } from "./metrics.ts";
import type { ProxySet } from "./proxies.ts";
import {
  parseJson,
  parsePopulate,
  parseProxy,
  parseProxyUpdate,
  parseToxic,
  parseToxicUpdate,
  proxyJson,
  toxicJson,
} from "./wire.ts";

/** The Toxiproxy release whose API this is. */
export const TOXIPROXY_VERSION = "2.12.0";

/** A request's body may not be longer: every one of the API's is a few lines. */
const LONGEST_BODY_BYTES = 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
}

type Handle = (proxies: ProxySet, names: readonly string[], body: unknown) => Promise<Answer> | Answer;

const ok = (json: unknown): Answer => ({ status: 200, json });
const NOTHING: Answer = { status: 204 };

/** Toxiproxy 2.12 `api.go`, route for route, and our rules. `:x` stands for a name. */
const routes: Readonly<Record<string, Handle>> = {
  "GET /version": () => ({ status: 200, text: `{"version": "${TOXIPROXY_VERSION}"}\n` }),
  "GET /metrics": (proxies) => ({ status: 200, text: metricsText(proxies.all()) }),
  "GET /proxies": (proxies) => ok(Object.fromEntries(proxies.all().map((proxy) => [proxy.name, proxyJson(proxy)]))),
  "POST /proxies": async (proxies, _names, body) => ({
    status: 201,
    json: proxyJson(await proxies.create(parseProxy(body))),
  }),
  "POST /populate": async (proxies, _names, body) => {
    const { made, problem } = await proxies.populate(parsePopulate(body));
    const json = { proxies: made.map(proxyJson) };
    return problem === undefined
      ? { status: 201, json }
      : { status: problem.status, json: { error: problem.message, status: problem.status, ...json } };
  },
  "GET /proxies/:proxy": (proxies, [name = ""]) => ok(proxyJson(proxies.get(name))),
  "POST /proxies/:proxy": async (proxies, [name = ""], body) => {
    const proxy = proxies.get(name);
    await proxy.update(parseProxyUpdate(body, proxy));
    return ok(proxyJson(proxy));
  },
  "DELETE /proxies/:proxy": async (proxies, [name = ""]) => {
    await proxies.remove(name);
    return NOTHING;
  },
  "GET /proxies/:proxy/toxics": (proxies, [name = ""]) => ok(proxies.get(name).toxics.map(toxicJson)),
  "POST /proxies/:proxy/toxics": async (proxies, [name = ""], body) => {
    const proxy = proxies.get(name);
    const toxic = parseToxic(body);
    await proxy.addToxic(toxic);
    return ok(toxicJson(toxic));
  },
  "GET /proxies/:proxy/toxics/:toxic": (proxies, [name = "", toxic = ""]) =>
    ok(toxicJson(proxies.get(name).toxic(toxic))),
  "POST /proxies/:proxy/toxics/:toxic": async (proxies, [name = "", toxicName = ""], body) => {
    const proxy = proxies.get(name);
    const toxic = proxy.toxic(toxicName);
    await proxy.updateToxic(toxic, parseToxicUpdate(body, toxic));
    return ok(toxicJson(toxic));
  },
  "DELETE /proxies/:proxy/toxics/:toxic": async (proxies, [name = "", toxic = ""]) => {
    const proxy = proxies.get(name);
    await proxy.removeToxic(proxy.toxic(toxic));
    return NOTHING;
  },
  "POST /reset": async (proxies) => {
    await proxies.reset();
    return NOTHING;
  },
  "GET /rules": (proxies) => ok(proxies.rules.list()),
  "POST /rules": (proxies, _names, body) => ({ status: 201, json: proxies.addRule(body) }),
  "GET /rules/:rule": (proxies, [id = ""]) => ok(proxies.rules.get(id)),
  "DELETE /rules/:rule": (proxies, [id = ""]) => {
    proxies.removeRule(id);
    return NOTHING;
  },
};

const WITH_BODY = /^POST \/(proxies|populate|rules)/;

/** The HTTP API over one set of proxies. */
export function createApi(proxies: ProxySet): Server {
  return createServer((request, response) => {
    void answer(proxies, request).then(
      (given) => send(response, given),
      (error: unknown) => send(response, problemAnswer(error)),
    );
  });
}

async function answer(proxies: ProxySet, request: IncomingMessage): Promise<Answer> {
  const body = await readBody(request);
  // Toxiproxy keeps web pages from steering it.
  if (request.headers["user-agent"]?.startsWith("Mozilla/") === true)
    return { status: 403, text: "User agent not allowed\n" };
  const path = (request.url ?? "/").replace(/\?.*$/s, "");
  const method = request.method === "PATCH" && path !== "/proxies" ? "POST" : (request.method ?? "GET");
  const parts = path.split("/").slice(1);
  const shapes = Object.keys(routes).filter((route) => matches(route.slice(route.indexOf(" ") + 2).split("/"), parts));
  if (shapes.length === 0) return { status: 404, text: "404 page not found\n" };
  const route = shapes.find((shape) => shape.startsWith(`${method} `));
  const handle = route === undefined ? undefined : routes[route];
  if (route === undefined || handle === undefined) return { status: 405 };
  const pattern = route.slice(route.indexOf(" ") + 2).split("/");
  const names = parts.filter((_part, i) => pattern[i]?.startsWith(":") === true).map(decodeName);
  return handle(proxies, names, WITH_BODY.test(route) ? parseJson(body) : undefined);
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((part, i) => part === parts[i] || (part.startsWith(":") && parts[i] !== ""))
  );
}

function decodeName(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LONGEST_BODY_BYTES) throw new ApiError(413, "bad request body: it is longer than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function problemAnswer(error: unknown): Answer {
  const { status, message } =
    error instanceof ApiError ? error : new ApiError(500, error instanceof Error ? error.message : String(error));
  return { status, json: { error: message, status } };
}

function send(response: ServerResponse, { status, json, text }: Answer): void {
  response.statusCode = status;
  response.setHeader(
    "Content-Type",
    json === undefined && text?.startsWith("{") !== true ? "text/plain; charset=utf-8" : "application/json",
  );
  response.end(json === undefined ? text : JSON.stringify(json));
}
