import { ApiError } from "./errors.ts";
import type { Toxic } from "./flow.ts";
import type { Proxy } from "./proxy.ts";
import { toxicKinds, type Attributes, type ToxicKind } from "./toxics.ts";

export interface ProxyInput {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badBody(text.trim() === "" ? "EOF" : (error as Error).message);
  }
}

export function parseProxy(body: unknown): ProxyInput {
  const input = proxyFields(fieldsOf(body), { name: "", listen: "", upstream: "", enabled: true });
  if (input.name === "") throw missing("name");
  if (input.upstream === "") throw missing("upstream");
  return input;
}

export function parsePopulate(body: unknown): readonly ProxyInput[] {
  if (!Array.isArray(body)) throw badBody("an array of proxies is wanted");
  return body.map((one: unknown, i) => {
    const input = proxyFields(fieldsOf(one), { name: "", listen: "", upstream: "", enabled: true });
    if (input.name === "") throw missing(`name at proxy ${i + 1}`);
    if (input.upstream === "") throw missing(`upstream at proxy ${i + 1}`);
    return input;
  });
}

export function parseProxyUpdate(body: unknown, { name, listen, upstream, enabled }: Proxy): ProxyInput {
  return { ...proxyFields(fieldsOf(body), { name, listen, upstream, enabled }), name };
}

export function parseToxic(body: unknown): Toxic {
  const fields = fieldsOf(body);
  const type = textOf(fields, "type", "");
  const stream = textOf(fields, "stream", "downstream").toLowerCase();
  const toxicity = numberOf(fields, "toxicity", 1);
  const name = textOf(fields, "name", "");
  if (stream !== "upstream" && stream !== "downstream")
    throw new ApiError(400, "stream was invalid, can be either upstream or downstream");
  const kind = Object.hasOwn(toxicKinds, type) ? toxicKinds[type] : undefined;
  if (kind === undefined) throw new ApiError(400, "invalid toxic type");
  return {
    name: name === "" ? `${type}_${stream}` : name,
    type,
    stream,
    toxicity,
    kind,
    attributes: attributesOf(fields, kind, {}),
  };
}

export function parseToxicUpdate(
  body: unknown,
  toxic: Toxic,
): { readonly toxicity: number; readonly attributes: Attributes } {
  const fields = fieldsOf(body);
  return {
    toxicity: numberOf(fields, "toxicity", toxic.toxicity),
    attributes: attributesOf(fields, toxic.kind, toxic.attributes),
  };
}

export function toxicJson({ name, type, stream, toxicity, attributes }: Toxic): Record<string, unknown> {
  return { attributes, name, type, stream, toxicity };
}

/** Toxiproxy's fields, and our counters. */
export function proxyJson(proxy: Proxy): Record<string, unknown> {
  const { name, listen, upstream, enabled, counters } = proxy;
  return { name, listen, upstream, enabled, toxics: proxy.toxics.map(toxicJson), counters };
}

function proxyFields(fields: Fields, defaults: ProxyInput): ProxyInput {
  return {
    name: textOf(fields, "name", defaults.name),
    listen: textOf(fields, "listen", defaults.listen),
    upstream: textOf(fields, "upstream", defaults.upstream),
    enabled: flagOf(fields, "enabled", defaults.enabled),
  };
}

/** Attributes are integers; unknown ones are passed over, those not given keep their value. */
function attributesOf(fields: Fields, kind: ToxicKind, current: Attributes): Attributes {
  const given = fields["attributes"] ?? {};
  const values = fieldsOf(given);
  return Object.fromEntries(
    kind.attributes.map((name) => {
      const value = numberOf(values, name, current[name] ?? 0);
      if (!Number.isSafeInteger(value)) throw badBody(`attributes.${name} is an integer, not ${value}`);
      return [name, value];
    }),
  );
}

function fieldsOf(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw badBody("an object is wanted");
  return body as Fields;
}

function textOf(fields: Fields, name: string, otherwise: string): string {
  const value = fields[name] ?? otherwise;
  if (typeof value !== "string") throw badBody(`${name} is a text, not ${JSON.stringify(value)}`);
  return value;
}

function numberOf(fields: Fields, name: string, otherwise: number): number {
  const value = fields[name] ?? otherwise;
  if (typeof value !== "number") throw badBody(`${name} is a number, not ${JSON.stringify(value)}`);
  return value;
}

function flagOf(fields: Fields, name: string, otherwise: boolean): boolean {
  const value = fields[name] ?? otherwise;
  if (typeof value !== "boolean") throw badBody(`${name} is true or false, not ${JSON.stringify(value)}`);
  return value;
}

function badBody(why: string): ApiError {
  return new ApiError(400, `bad request body: ${why}`);
}

function missing(field: string): ApiError {
  return new ApiError(400, `missing required field: ${field}`);
}
