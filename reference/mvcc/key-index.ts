import { BTree, byText } from "./btree.ts";
import { assert } from "../../seams/assert.ts";
import { ABOVE_ALL_KEYS } from "./key-text.ts";
import type { Span } from "./range-end.ts";

/** Where a key's value is, and what its generation says about it. */
export interface KeyMeta {
  readonly main: number;
  readonly sub: number;
  readonly created: number;
  readonly version: number;
}

/**
 * One life of a key, from a creating put to the tombstone that closes it.
 * `revisions` is flat: main, sub, main, sub... ascending, oldest ones cut by compaction; `version` counts all there ever were.
 */
interface Generation {
  readonly created: number;
  version: number;
  closed: boolean;
  revisions: number[];
}

/** Never empty: a key whose last generation is compacted away leaves the index. */
interface KeyRecord {
  generations: Generation[];
}

/** Revisions of every key, in key order. Holds no values: those are in the backend, by revision. */
export class KeyIndex {
  readonly #records = new Map<string, KeyRecord>();
  readonly #ordered = new BTree<string, KeyRecord>(undefined, byText);

  get size(): number {
    return this.#records.size;
  }

  /** The key as of `at`; undefined if it did not exist then. */
  get(key: string, at: number): KeyMeta | undefined {
    const record = this.#records.get(key);
    return record && metaAt(record, at);
  }

  put(key: string, main: number, sub: number): KeyMeta {
    const generation = this.#open(key, main);
    append(generation, main, sub);
    return { main, sub, created: generation.created, version: generation.version };
  }

  /** Closes the key's generation; false if the key does not exist. */
  tombstone(key: string, main: number, sub: number): boolean {
    const generation = this.#records.get(key)?.generations.at(-1);
    if (generation === undefined || generation.closed) return false;
    append(generation, main, sub);
    generation.closed = true;
    return true;
  }

  /** Loads one stored change; they must come in revision order. `created` and `version` count only for a key's first one. */
  restore(key: string, main: number, sub: number, stored: { created: number; version: number } | "tombstone"): void {
    if (stored === "tombstone") {
      if (this.tombstone(key, main, sub)) return;
      // All that compaction left of this life is its end.
      append(this.#begin(key, 0, 0), main, sub).closed = true;
    } else if (this.#records.get(key) === undefined) {
      append(this.#begin(key, stored.created, stored.version - 1), main, sub);
    } else {
      this.put(key, main, sub);
    }
  }

  /** Visits the keys of `span` that exist at `at`, in order, until the visitor returns false. */
  visit(span: Span, at: number, visitor: (key: string, meta: KeyMeta) => boolean): void {
    if (span.single) {
      const meta = this.get(span.low, at);
      if (meta !== undefined) visitor(span.low, meta);
      return;
    }
    this.#ordered.forRange(span.low, span.high, false, (key, record) => {
      const meta = metaAt(record, at);
      return meta !== undefined && !visitor(key, meta) ? STOP : undefined;
    });
  }

  count(span: Span, at: number): number {
    let total = 0;
    this.visit(span, at, () => {
      total++;
      return true;
    });
    return total;
  }

  /**
   * Forgets what a compaction at `at` makes unreachable of one key, telling `dropped` of each.
   * Kept, as etcd keeps: the newest revision at or below `at` of the generation alive then, a tombstone at exactly `at` too.
   */
  compact(key: string, at: number, dropped: (main: number, sub: number, tombstone: boolean) => void): void {
    const record = this.#records.get(key);
    if (record === undefined) return;
    const first = generationAt(record, at);
    for (let g = 0; g < first; g++)
      dropRevisions(record.generations[g] as Generation, Number.POSITIVE_INFINITY, dropped);
    record.generations = record.generations.slice(first);
    const alive = record.generations[0];
    if (alive === undefined) {
      this.#records.delete(key);
      this.#ordered.delete(key);
      return;
    }
    const keep = newestAtOrBelow(alive, at);
    if (keep > 0) {
      dropRevisions(alive, keep, dropped);
      alive.revisions = alive.revisions.slice(keep);
    }
  }

  /** Whether a compaction at `at` would keep this revision of the key (or has nothing to say about it: it is newer). */
  keptByCompaction(key: string, at: number, main: number, sub: number): boolean {
    if (main > at) return true;
    const record = this.#records.get(key);
    const alive = record?.generations[generationAt(record, at)];
    if (alive === undefined) return false;
    const keep = newestAtOrBelow(alive, at);
    return keep >= 0 && alive.revisions[keep] === main && alive.revisions[keep + 1] === sub;
  }

  /** Whether any key exists at `at`. */
  anyAt(at: number): boolean {
    let any = false;
    this.visit(ALL, at, () => {
      any = true;
      return false;
    });
    return any;
  }

  #open(key: string, main: number): Generation {
    const generations = this.#records.get(key)?.generations;
    const last = generations?.[generations.length - 1];
    return last === undefined || last.closed ? this.#begin(key, main, 0) : last;
  }

  #begin(key: string, created: number, version: number): Generation {
    const generation: Generation = { created, version, closed: false, revisions: [] };
    const record = this.#records.get(key);
    if (record === undefined) {
      const fresh: KeyRecord = { generations: [generation] };
      this.#records.set(key, fresh);
      this.#ordered.set(key, fresh);
    } else {
      record.generations.push(generation);
    }
    return generation;
  }
}

const ALL: Span = { low: "", high: ABOVE_ALL_KEYS, single: false };
const STOP = { break: true } as const;

function append(generation: Generation, main: number, sub: number): Generation {
  const { revisions } = generation;
  const last = revisions.length - 2;
  const lastMain = last < 0 ? 0 : (revisions[last] as number);
  assert(
    main > lastMain || (main === lastMain && sub > (revisions[last + 1] as number)),
    "revisions of a key only grow",
  );
  revisions.push(main, sub);
  generation.version++;
  return generation;
}

/** Position in `revisions` of the newest one whose main is at most `at`; -1 if there is none. Recent ones are asked for most. */
function newestAtOrBelow(generation: Generation, at: number): number {
  const { revisions } = generation;
  for (let i = revisions.length - 2; i >= 0; i -= 2) {
    if ((revisions[i] as number) <= at) return i;
  }
  return -1;
}

function metaAt(record: KeyRecord, at: number): KeyMeta | undefined {
  const { generations } = record;
  for (let g = generations.length - 1; g >= 0; g--) {
    const generation = generations[g] as Generation;
    const { revisions } = generation;
    // At or after its tombstone the key is in the gap between two generations.
    if (generation.closed && (revisions[revisions.length - 2] as number) <= at) return undefined;
    const i = newestAtOrBelow(generation, at);
    if (i >= 0) {
      const newer = (revisions.length - i - 2) / 2;
      return {
        main: revisions[i] as number,
        sub: revisions[i + 1] as number,
        created: generation.created,
        version: generation.version - newer,
      };
    }
  }
  return undefined;
}

/** The first generation that is not wholly before `at`: alive at `at`, ended at `at`, or begun after it. */
function generationAt(record: KeyRecord, at: number): number {
  const { generations } = record;
  let g = 0;
  while (g < generations.length) {
    const generation = generations[g] as Generation;
    if (!generation.closed || (generation.revisions[generation.revisions.length - 2] as number) >= at) break;
    g++;
  }
  return g;
}

function dropRevisions(
  generation: Generation,
  before: number,
  dropped: (main: number, sub: number, tombstone: boolean) => void,
): void {
  const { revisions, closed } = generation;
  for (let i = 0; i < revisions.length && i < before; i += 2) {
    dropped(revisions[i] as number, revisions[i + 1] as number, closed && i === revisions.length - 2);
  }
}
