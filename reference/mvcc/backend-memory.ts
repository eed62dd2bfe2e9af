import { assert } from "../../seams/assert.ts";
import type { Backend, BackendFactory, BackendWrite, Bucket } from "./backend.ts";
import { BTree, byText } from "./btree.ts";
import { ABOVE_ALL_KEYS, keyText } from "./key-text.ts";
import { readSnapshot, writeSnapshot } from "./snapshot-stream.ts";

type Pair = readonly [Uint8Array, Uint8Array];
type Space = BTree<string, Pair>;

/** Per record, beside its bytes: what a page of a real store would spend on it. */
const RECORD_OVERHEAD_BYTES = 16;

/** A backend in memory. The factory keeps the content: opening again after a close continues with it. `flushed` is resolved at once. */
export function memoryBackend(): BackendFactory {
  let spaces = new Spaces();
  let open: MemoryBackend | undefined;
  return {
    async open() {
      assert(open === undefined || open.closed, "a backend is open once");
      open = new MemoryBackend(spaces);
      return open;
    },
    async restore(stream) {
      assert(open === undefined || open.closed, "a backend is closed when it is restored");
      const fresh = new Spaces();
      for await (const write of readSnapshot(stream)) fresh.apply(write);
      spaces = fresh;
    },
  };
}

class Spaces {
  readonly #spaces = new Map<Bucket, Space>();
  bytes = 0;

  of(bucket: Bucket): Space {
    let space = this.#spaces.get(bucket);
    if (space === undefined) {
      space = new BTree<string, Pair>(undefined, byText);
      this.#spaces.set(bucket, space);
    }
    return space;
  }

  apply(write: BackendWrite): void {
    const space = this.of(write.bucket);
    const text = keyText(write.key);
    // The only bucket of any size is append-only but for compaction: a lookup for the replaced one is worth it elsewhere only.
    const before = write.bucket === "key" && write.op === "put" ? undefined : space.get(text);
    if (before !== undefined) this.bytes -= sizeOf(before);
    if (write.op === "delete") {
      space.delete(text);
      return;
    }
    const pair: Pair = [write.key, write.value];
    space.set(text, pair);
    this.bytes += sizeOf(pair);
  }

  /** Shares structure: cheap however large the content. */
  copy(): Map<Bucket, Space> {
    return new Map([...this.#spaces].map(([bucket, space]) => [bucket, space.clone()]));
  }
}

class MemoryBackend implements Backend {
  readonly #spaces: Spaces;
  closed = false;

  constructor(spaces: Spaces) {
    this.#spaces = spaces;
  }

  commit(batch: readonly BackendWrite[]): { readonly flushed: Promise<void> } {
    assert(!this.closed, "a closed backend takes no commits");
    for (const write of batch) this.#spaces.apply(write);
    return { flushed: DONE };
  }

  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined {
    return this.#spaces.of(bucket).get(keyText(key))?.[1];
  }

  *range(
    bucket: Bucket,
    start: Uint8Array,
    end: Uint8Array | undefined,
    options: { limit?: number; reverse?: boolean } = {},
  ): Iterable<Pair> {
    const low = keyText(start);
    const high = end === undefined ? ABOVE_ALL_KEYS : keyText(end);
    const space = this.#spaces.of(bucket);
    let left = options.limit ?? Number.POSITIVE_INFINITY;
    if (options.reverse === true) {
      for (const [text, pair] of space.entriesReversed(high, undefined, true)) {
        if (text < low || left-- <= 0) return;
        yield pair;
      }
    } else {
      for (const [text, pair] of space.entries(low)) {
        if (text >= high || left-- <= 0) return;
        yield pair;
      }
    }
  }

  snapshot(): AsyncIterable<Uint8Array> {
    return writeSnapshot(pairsOf(this.#spaces.copy()));
  }

  sizeBytes(): { readonly allocated: number; readonly inUse: number } {
    return { allocated: this.#spaces.bytes, inUse: this.#spaces.bytes };
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

const DONE = Promise.resolve();

function sizeOf([key, value]: Pair): number {
  return key.length + value.length + RECORD_OVERHEAD_BYTES;
}

function* pairsOf(spaces: ReadonlyMap<Bucket, Space>): Iterable<readonly [Bucket, Uint8Array, Uint8Array]> {
  for (const [bucket, space] of spaces) {
    for (const [key, value] of space.values()) yield [bucket, key, value];
  }
}
