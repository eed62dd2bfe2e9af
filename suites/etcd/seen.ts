import type { EtcdAnswer, EtcdKv, EtcdOutput } from "knossos-ts";

/** What one client has seen so far: enough to write compare-and-swaps that sometimes win. */
export class Seen {
  readonly #modRevisions = new Map<string, number>();
  #revision = 0;

  /** The newest header revision. */
  get revision(): number {
    return this.#revision;
  }

  /** The mod revision last seen of a key, 0 if it was seen absent, undefined if it was never looked at. */
  modRevision(key: string): number | undefined {
    return this.#modRevisions.get(key);
  }

  /** Takes note of an answer; `key` is the one that a single-key read asked for. */
  note(output: EtcdOutput, key?: string): void {
    if ("revision" in output && output.revision !== undefined)
      this.#revision = Math.max(this.#revision, output.revision);
    if (output.f === "range" || output.f === "txn") this.#answer(output, key);
  }

  #answer(answer: EtcdAnswer, key: string | undefined): void {
    if (answer.f === "txn") for (const nested of answer.answers) this.#answer(nested, undefined);
    if (answer.f !== "range") return;
    if (answer.kvs.length === 0 && key !== undefined) this.#modRevisions.set(key, 0);
    for (const kv of answer.kvs) this.#kv(kv);
  }

  #kv(kv: EtcdKv): void {
    this.#modRevisions.set(kv.key, kv.modRevision);
  }
}

/** The header revision of an answer, where it has one. */
export function revisionOf(output: EtcdOutput): number {
  return ("revision" in output ? output.revision : undefined) ?? 0;
}
