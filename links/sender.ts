/** Heads larger than this are not read: the connection counts as opaque. */
export const LONGEST_HEAD_BYTES = 16 * 1024;

const HEAD_END = Buffer.from("\r\n\r\n");
const METHODS = ["GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS ", "PATCH "];

export interface SenderScan {
  /** Bytes of `pending` that may go on now: all but the beginning of a head whose sender is not known yet. */
  readonly passable: number;
  /** Senders named by the heads that were completed, in their order. */
  readonly senders: readonly string[];
}

/**
 * Follows the requests of one HTTP/1.1 connection (keep-alive, Content-Length, chunked) and finds who sent them: etcd's peers
 * name themselves in `X-Server-From`, on each stream GET and each pipeline POST, but not on the probes that may share a connection
 * with them, so every head has to be read. What is not HTTP/1.1 (HTTP/2, TLS) is opaque from its first bytes on.
 */
export class SenderReader {
  #state: "head" | "body" | "chunk-size" | "opaque" = "head";
  #bodyLeft = 0;

  get opaque(): boolean {
    return this.#state === "opaque";
  }

  /** Reads `pending`: what was not passable the last time, with what came since behind it. */
  scan(pending: Buffer): SenderScan {
    const senders: string[] = [];
    let at = 0;
    while (at < pending.length) {
      if (this.#state === "opaque") return { passable: pending.length, senders };
      if (this.#state === "body") {
        const step = Math.min(this.#bodyLeft, pending.length - at);
        at += step;
        this.#bodyLeft -= step;
        if (this.#bodyLeft === 0) this.#state = this.#chunked ? "chunk-size" : "head";
        continue;
      }
      const read = this.#state === "chunk-size" ? this.#chunkSize(pending, at) : this.#head(pending, at, senders);
      if (read === undefined) return { passable: at, senders };
      at = read;
    }
    return { passable: at, senders };
  }

  #chunked = false;

  /** Where the head that begins at `at` ends; undefined while it is not all there. */
  #head(pending: Buffer, at: number, senders: string[]): number | undefined {
    const rest = pending.subarray(at, at + LONGEST_HEAD_BYTES + HEAD_END.length);
    if (!mayBeRequest(rest)) return this.#giveUp(pending);
    const end = rest.indexOf(HEAD_END);
    if (end < 0) return rest.length > LONGEST_HEAD_BYTES ? this.#giveUp(pending) : undefined;
    const fields = new Map<string, string>();
    for (const line of rest.toString("latin1", 0, end).split("\r\n").slice(1)) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    const sender = fields.get("x-server-from");
    if (sender !== undefined) senders.push(canonicalId(sender));
    if (fields.has("upgrade")) return this.#giveUp(pending);
    this.#chunked = /\bchunked\b/i.test(fields.get("transfer-encoding") ?? "");
    this.#bodyLeft = this.#chunked ? 0 : Number(fields.get("content-length") ?? 0);
    if (!Number.isSafeInteger(this.#bodyLeft) || this.#bodyLeft < 0) return this.#giveUp(pending);
    this.#state = this.#chunked ? "chunk-size" : this.#bodyLeft > 0 ? "body" : "head";
    return at + end + HEAD_END.length;
  }

  #chunkSize(pending: Buffer, at: number): number | undefined {
    const end = pending.indexOf("\r\n", at);
    if (end < 0) return pending.length - at > LONGEST_HEAD_BYTES ? this.#giveUp(pending) : undefined;
    const size = Number.parseInt(pending.toString("latin1", at, end), 16);
    if (!Number.isSafeInteger(size) || size < 0) return this.#giveUp(pending);
    if (size > 0) {
      // The CRLF behind the chunk's bytes belongs to it.
      this.#bodyLeft = size + 2;
      this.#state = "body";
      return end + 2;
    }
    // The last chunk: trailers, if any, up to an empty line.
    const trailerEnd = pending.indexOf(HEAD_END, end);
    if (trailerEnd < 0) return pending.length - at > LONGEST_HEAD_BYTES ? this.#giveUp(pending) : undefined;
    this.#chunked = false;
    this.#state = "head";
    return trailerEnd + HEAD_END.length;
  }

  #giveUp(pending: Buffer): number {
    this.#state = "opaque";
    return pending.length;
  }
}

/** Whether the bytes are, or may become, an HTTP/1 request; decided as early as they allow. */
function mayBeRequest(bytes: Buffer): boolean {
  const lineEnd = bytes.indexOf("\r\n");
  const line = bytes.toString("latin1", 0, lineEnd < 0 ? Math.min(bytes.length, 8) : lineEnd);
  if (lineEnd >= 0 && !/ HTTP\/1\.[01]$/.test(line)) return false;
  return METHODS.some((method) => line.startsWith(method) || method.startsWith(line));
}

/** etcd prints member ids as hex without leading zeros; people may not. */
export function canonicalId(id: string): string {
  return id
    .trim()
    .toLowerCase()
    .replace(/^0x/, "")
    .replace(/^0+(?=.)/, "");
}
