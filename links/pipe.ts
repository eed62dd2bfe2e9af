import type { Instant } from "../seams/clock.ts";

/** Bytes on their way, and when they were read (a latency toxic counts from there, so that two in a row do not add up queueing). */
export interface Chunk {
  data: Buffer;
  at: Instant;
}

/** How a direction ends: the sender's FIN, a toxic that closes the connection, a toxic that resets it. */
export type End = "fin" | "close" | "reset";

/** What a stage finds when it asks for more. */
export type Taken = Chunk | { readonly end: End } | "interrupted";

/** Holds about 80 ms of a 50 MB/s stream: enough for a latency toxic not to throttle, little enough for hundreds of connections. */
export const PIPE_CAPACITY_BYTES = 4 * 1024 * 1024;

/** A bounded queue of chunks with one reader and one writer; order is kept, and the end comes after the last chunk. */
export class Pipe {
  readonly #capacity: number;
  #chunks: Chunk[] = [];
  #next = 0;
  #bytes = 0;
  #end: End | undefined;
  #reader: (() => void) | undefined;
  #writer: (() => void) | undefined;

  constructor(capacityBytes = PIPE_CAPACITY_BYTES) {
    this.#capacity = capacityBytes;
  }

  get full(): boolean {
    return this.#bytes >= this.#capacity;
  }

  get empty(): boolean {
    return this.#next === this.#chunks.length && this.#end === undefined;
  }

  /** Never blocks: who writes asks `full` first, or overshoots by the one chunk it holds. */
  push(chunk: Chunk): void {
    if (this.#end !== undefined || chunk.data.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.data.length;
    wake(this.#reader);
  }

  end(how: End): void {
    this.#end ??= how;
    wake(this.#reader);
  }

  shift(): Chunk | { readonly end: End } | undefined {
    const chunk = this.#chunks[this.#next];
    if (chunk === undefined) return this.#end === undefined ? undefined : { end: this.#end };
    this.#next++;
    this.#bytes -= chunk.data.length;
    if (this.#next === this.#chunks.length) {
      this.#chunks = [];
      this.#next = 0;
    }
    if (!this.full) wake(this.#writer);
    return chunk;
  }

  /** The next chunk or the end, whichever comes; "interrupted" if the signal comes first. */
  async take(signal: AbortSignal): Promise<Taken> {
    for (;;) {
      if (signal.aborted) return "interrupted";
      const next = this.shift();
      if (next !== undefined) return next;
      await this.#wait(signal, (wakeUp) => (this.#reader = wakeUp));
    }
  }

  /** Resolves once there is room, or at the signal. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.full && !signal.aborted) await this.#wait(signal, (wakeUp) => (this.#writer = wakeUp));
  }

  /** Runs `then` at the next moment there is room. */
  onRoom(then: () => void): void {
    if (this.full) this.#writer = then;
    else then();
  }

  async #wait(signal: AbortSignal, register: (wakeUp: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      register(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

function wake(waiter: (() => void) | undefined): void {
  waiter?.();
}
