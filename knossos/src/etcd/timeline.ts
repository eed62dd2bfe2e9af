import type { EtcdKv } from "../models/etcd-types.ts";
import type { Changes, EtcdView } from "./evaluate.ts";
import { inRange, lowerBound, upperBound } from "./order.ts";

interface Versions {
  readonly revisions: number[];
  /** undefined = deleted at that revision. */
  readonly kvs: (EtcdKv | undefined)[];
}

type Undo =
  | { readonly what: "commit"; readonly keys: readonly string[] }
  | { readonly what: "grant"; readonly id: string; readonly doubtful: boolean }
  | { readonly what: "revoke"; readonly id: string }
  | { readonly what: "compact"; readonly before: number };

/**
 * A store whose every revision stays readable: reads at any revision cost a binary search. It grows at its end and
 * can be taken back to a mark, which is what the search for missing revisions needs.
 */
export class Timeline implements EtcdView {
  revision: number;
  compactRevision: number;
  readonly firstRevision: number;
  readonly #keys: readonly string[];
  readonly #versions = new Map<string, Versions>();
  readonly #leases = new Map<string, Set<string>>();
  readonly #doubtful = new Set<string>();
  readonly #log: Undo[] = [];

  /** `keys`: every key that may ever be written, ascending, each once. */
  constructor(
    keys: readonly string[],
    initial: {
      readonly revision: number;
      readonly compactRevision: number;
      readonly kvs: readonly EtcdKv[];
      readonly leases: readonly string[];
    },
  ) {
    this.revision = initial.revision;
    this.firstRevision = initial.revision;
    this.compactRevision = initial.compactRevision;
    this.#keys = keys;
    for (const key of keys) this.#versions.set(key, { revisions: [], kvs: [] });
    for (const id of initial.leases) this.#leases.set(id, new Set());
    for (const kv of initial.kvs) {
      const versions = this.#versionsOf(kv.key);
      versions.revisions.push(kv.modRevision);
      versions.kvs.push(kv);
      this.#attach(kv);
    }
  }

  #versionsOf(key: string): Versions {
    const versions = this.#versions.get(key);
    if (versions === undefined) throw new Error(`key ${key} is not among the keys of this timeline`);
    return versions;
  }

  get(key: string, revision: number): EtcdKv | undefined {
    const versions = this.#versions.get(key);
    if (versions === undefined) return undefined;
    const last = versions.revisions.length - 1;
    if (last < 0) return undefined;
    if ((versions.revisions[last] as number) <= revision) return versions.kvs[last];
    return versions.kvs[upperBound(versions.revisions, revision) - 1];
  }

  range(start: string, end: string | undefined, revision: number): EtcdKv[] {
    const found: EtcdKv[] = [];
    if (end === undefined || end === "") {
      const kv = this.get(start, revision);
      if (kv !== undefined) found.push(kv);
      return found;
    }
    for (let i = lowerBound(this.#keys, start); i < this.#keys.length; i++) {
      const key = this.#keys[i] as string;
      if (!inRange(key, start, end)) break;
      const kv = this.get(key, revision);
      if (kv !== undefined) found.push(kv);
    }
    return found;
  }

  /** The revision that last put or deleted the key. */
  touchedAt(key: string): number | undefined {
    return this.#versions.get(key)?.revisions.at(-1);
  }

  hasLease(id: string): boolean {
    return this.#leases.has(id);
  }

  /** Keys attached to a lease now. */
  leaseKeys(id: string): readonly string[] {
    return [...(this.#leases.get(id) ?? [])];
  }

  /** The next revision. */
  commit(changes: Changes): void {
    this.revision++;
    for (const [key, kv] of changes) {
      const versions = this.#versionsOf(key);
      this.#detach(versions.kvs.at(-1));
      versions.revisions.push(this.revision);
      versions.kvs.push(kv);
      this.#attach(kv);
    }
    this.#log.push({ what: "commit", keys: [...changes.keys()] });
  }

  grant(id: string): void {
    if (this.#leases.has(id)) return;
    this.#leases.set(id, new Set());
    this.#log.push({ what: "grant", id, doubtful: false });
  }

  /** A grant that nobody acknowledged takes effect, once. */
  grantDoubtful(id: string): boolean {
    if (this.#leases.has(id) || this.#doubtful.has(id)) return false;
    this.#leases.set(id, new Set());
    this.#doubtful.add(id);
    this.#log.push({ what: "grant", id, doubtful: true });
    return true;
  }

  /** Of a lease without keys; those with keys lose them in a commit first. */
  revoke(id: string): void {
    if (!this.#leases.delete(id)) return;
    this.#log.push({ what: "revoke", id });
  }

  compact(revision: number): void {
    if (revision <= this.compactRevision) return;
    this.#log.push({ what: "compact", before: this.compactRevision });
    this.compactRevision = revision;
  }

  mark(): number {
    return this.#log.length;
  }

  undoTo(mark: number): void {
    while (this.#log.length > mark) {
      const entry = this.#log.pop() as Undo;
      if (entry.what === "commit") this.#undoCommit(entry.keys);
      else if (entry.what === "grant") {
        this.#leases.delete(entry.id);
        if (entry.doubtful) this.#doubtful.delete(entry.id);
      } else if (entry.what === "revoke") this.#leases.set(entry.id, new Set());
      else this.compactRevision = entry.before;
    }
  }

  #undoCommit(keys: readonly string[]): void {
    this.revision--;
    for (const key of keys) {
      const versions = this.#versionsOf(key);
      this.#detach(versions.kvs.pop());
      versions.revisions.pop();
      this.#attach(versions.kvs.at(-1));
    }
  }

  #attach(kv: EtcdKv | undefined): void {
    if (kv?.lease !== undefined && kv.lease !== "0") this.#leases.get(kv.lease)?.add(kv.key);
  }

  #detach(kv: EtcdKv | undefined): void {
    if (kv?.lease !== undefined && kv.lease !== "0") this.#leases.get(kv.lease)?.delete(kv.key);
  }
}
