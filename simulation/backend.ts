import { memoryBackend } from "../reference/mvcc/backend-memory.ts";
import type { Backend, BackendFactory, BackendWrite } from "../reference/mvcc/backend.ts";
import { assert } from "../seams/assert.ts";
import type { Random } from "../seams/random.ts";
import type { Life, World } from "./world.ts";

/** A flush takes this long, in microseconds: from, and below. */
const FLUSH_US = [300, 3000] as const;

/**
 * One member's backend. It outlives the member's lives: a crash leaves the content of some commit at or after the last flushed one,
 * chosen by the seed. Content is the memory backend's; what is added is the doubt about what a crash leaves.
 */
export class SimulatedBackend {
  readonly #world: World;
  readonly #name: string;
  readonly #random: Random;
  /** What a crash leaves at least. */
  #durable: Content | undefined;
  /** What the live member sees. */
  #seen: Content | undefined;
  /** Commits in `#seen` that are not in `#durable`, oldest first. */
  #unflushed: (readonly BackendWrite[])[] = [];
  /** A restore that is being made durable: a crash leaves either. */
  #restoring: Content | undefined;
  #open: Connection | undefined;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
    this.#random = world.random.fork(`backend ${name}`);
  }

  /** The factory as one life of the member uses it; dead with it. */
  connect(life: Life): BackendFactory {
    return {
      open: async () => {
        if (!life.alive) return never();
        assert(this.#open?.usable !== true, "a backend is open once");
        await life.later(this.#flushMs(), "backend opened", () => undefined);
        this.#durable ??= await Content.empty();
        this.#seen ??= await this.#durable.copy();
        const seen = this.#seen;
        this.#open = new Connection(life, seen, {
          commit: (batch) => {
            this.#unflushed.push(batch);
            this.#world.trace(`${life.label} commit ${batch.length}`);
          },
          flush: () => this.#flush(life),
        });
        return this.#open;
      },
      restore: async (stream) => {
        if (!life.alive) return never();
        assert(this.#open?.usable !== true, "a backend is closed when it is restored");
        const restored = await Content.from(stream);
        // The stream may have ended after the life did: its end is nothing that the life awaits from the world.
        if (!life.alive) return never();
        this.#restoring = restored;
        const seen = await restored.copy();
        await life.later(this.#flushMs(), "backend restored", () => {
          this.#restoring = undefined;
          this.#durable = restored;
          this.#unflushed = [];
          this.#seen = seen;
        });
      },
    };
  }

  /** Loses power. Call it after the member's life ended, before the next begins. */
  async losePower(): Promise<void> {
    this.#open = undefined;
    const durable = this.#durable ?? (await Content.empty());
    const kept = this.#random.below(this.#unflushed.length + 1);
    this.#world.trace(`backend ${this.#name} loses power: ${kept} of ${this.#unflushed.length} unflushed commits stay`);
    for (const batch of this.#unflushed.slice(0, kept)) durable.backend.commit(batch);
    const restoring = this.#restoring;
    this.#restoring = undefined;
    this.#unflushed = [];
    this.#durable = restoring !== undefined && this.#random.below(2) === 0 ? restoring : durable;
    this.#seen = await this.#durable.copy();
  }

  async #flush(life: Life): Promise<void> {
    const count = this.#unflushed.length;
    await life.later(this.#flushMs(), `flushed ${count}`, () => {
      for (const batch of this.#unflushed.splice(0, count)) this.#durable?.backend.commit(batch);
    });
  }

  #flushMs(): number {
    const [from, below] = FLUSH_US;
    return (from + this.#random.below(below - from)) / 1000;
  }
}

/** A memory backend and the way to another equal one. */
class Content {
  readonly backend: Backend;

  private constructor(backend: Backend) {
    this.backend = backend;
  }

  static async empty(): Promise<Content> {
    return new Content(await memoryBackend().open());
  }

  static async from(stream: AsyncIterable<Uint8Array>): Promise<Content> {
    const factory = memoryBackend();
    await factory.restore(stream);
    return new Content(await factory.open());
  }

  copy(): Promise<Content> {
    return Content.from(this.backend.snapshot());
  }
}

interface Durability {
  commit(batch: readonly BackendWrite[]): void;
  /** Makes durable what is committed when it begins. */
  flush(): Promise<void>;
}

class Connection implements Backend {
  readonly #life: Life;
  readonly #content: Content;
  readonly #durability: Durability;
  #closed = false;
  #flushing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(life: Life, content: Content, durability: Durability) {
    this.#life = life;
    this.#content = content;
    this.#durability = durability;
  }

  get usable(): boolean {
    return !this.#closed && this.#life.alive;
  }

  commit(batch: readonly BackendWrite[]): { readonly flushed: Promise<void> } {
    assert(!this.#closed, "a closed backend takes no commits");
    if (!this.#life.alive) return { flushed: never() };
    this.#content.backend.commit(batch);
    this.#durability.commit(batch);
    return { flushed: this.#flushed() };
  }

  get(...args: Parameters<Backend["get"]>): ReturnType<Backend["get"]> {
    return this.#content.backend.get(...args);
  }

  range(...args: Parameters<Backend["range"]>): ReturnType<Backend["range"]> {
    return this.#content.backend.range(...args);
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return this.#content.backend.snapshot();
  }

  sizeBytes(): { readonly allocated: number; readonly inUse: number } {
    return this.#content.backend.sizeBytes();
  }

  async close(): Promise<void> {
    if (!this.usable) return;
    await this.#flushed();
    this.#closed = true;
  }

  /** One flush at a time; who commits meanwhile shares the next. */
  #flushed(): Promise<void> {
    this.#next ??= (this.#flushing ?? Promise.resolve()).then(() => {
      this.#flushing = this.#next;
      this.#next = undefined;
      return this.#durability.flush();
    });
    return this.#next;
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
