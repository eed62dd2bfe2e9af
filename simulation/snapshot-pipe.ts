import type { Life } from "./world.ts";

/**
 * Carries a stream from one life to another, chunk by chunk on demand: at most one is under way, so a slow receiver slows the sender.
 * Broken, it ends the receiver's iteration with the error.
 */
export class SnapshotPipe {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #sender: Life;
  readonly #carry: (chunk: Uint8Array) => Promise<void>;
  readonly #broken: Promise<never>;
  #break: (error: Error) => void = () => undefined;
  #closed = false;

  constructor(sender: Life, stream: AsyncIterable<Uint8Array>, carry: (chunk: Uint8Array) => Promise<void>) {
    this.#sender = sender;
    this.#source = stream[Symbol.asyncIterator]();
    this.#carry = carry;
    this.#broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    this.#broken.catch(() => undefined);
  }

  break(error: Error): void {
    this.#break(error);
  }

  async *receiver(): AsyncIterable<Uint8Array> {
    for (;;) {
      const next = await Promise.race([this.#broken, this.#next()]);
      if (next === undefined) return;
      yield next;
    }
  }

  /** Lets go of the sender's stream, unless the sender is no more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#sender.alive) await this.#source.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#source.next();
    if (done === true) return undefined;
    // A copy: a Buffer's own `slice` would share the sender's memory.
    const chunk = new Uint8Array(value);
    await this.#carry(chunk);
    return chunk;
  }
}
