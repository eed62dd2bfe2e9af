import { assert } from "../../seams/assert.ts";
import type { Backend, BackendWrite } from "./backend.ts";
import { readUint64, writeUint64 } from "./revision.ts";
import type { LeaseId } from "./types.ts";

export interface LeaseRecord {
  readonly ttlSeconds: number;
  /** Seconds left at the last checkpoint; 0: none. */
  remainingSeconds: number;
  /** Key texts. */
  readonly keys: Set<string>;
}

/**
 * Leases as data: which there are, what they were granted, which keys they hold. When one ends is not known here:
 * deadlines live on the leader's clock, and their outcome enters the log as a revoke.
 */
export class Leases {
  readonly all = new Map<LeaseId, LeaseRecord>();
  readonly #leaseOf = new Map<string, LeaseId>();

  /** Reads the leases of a backend; which keys hang on them is told by `attach` while the keys are read. */
  static load(backend: Backend): Leases {
    const leases = new Leases();
    for (const [key, value] of backend.range("lease", new Uint8Array(0), undefined)) {
      const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
      leases.all.set(view.getBigInt64(0), {
        ttlSeconds: readUint64(value, 0),
        remainingSeconds: readUint64(value, 8),
        keys: new Set(),
      });
    }
    return leases;
  }

  grant(id: LeaseId, ttlSeconds: number, batch: BackendWrite[]): void {
    assert(!this.all.has(id), "a lease is granted once");
    const record: LeaseRecord = { ttlSeconds, remainingSeconds: 0, keys: new Set() };
    this.all.set(id, record);
    batch.push({ op: "put", bucket: "lease", key: leaseKey(id), value: leaseValue(record) });
  }

  /** The keys must have been deleted before. */
  remove(id: LeaseId, batch: BackendWrite[]): void {
    for (const key of this.all.get(id)?.keys ?? []) this.#leaseOf.delete(key);
    this.all.delete(id);
    batch.push({ op: "delete", bucket: "lease", key: leaseKey(id) });
  }

  checkpoint(id: LeaseId, remainingSeconds: number, batch: BackendWrite[]): boolean {
    const record = this.all.get(id);
    if (record === undefined) return false;
    record.remainingSeconds = remainingSeconds;
    batch.push({ op: "put", bucket: "lease", key: leaseKey(id), value: leaseValue(record) });
    return true;
  }

  /** 0n: the key hangs on no lease. */
  leaseOf(key: string): LeaseId {
    return this.#leaseOf.get(key) ?? 0n;
  }

  /** The key hangs on `id` alone from now on (0n: on none). A lease that is gone attaches nothing. */
  attach(key: string, id: LeaseId): void {
    if (id === 0n && this.#leaseOf.size === 0) return;
    const before = this.#leaseOf.get(key);
    if (before === id) return;
    if (before !== undefined) {
      this.all.get(before)?.keys.delete(key);
      this.#leaseOf.delete(key);
    }
    const record = id === 0n ? undefined : this.all.get(id);
    if (record !== undefined) {
      record.keys.add(key);
      this.#leaseOf.set(key, id);
    }
  }
}

function leaseKey(id: LeaseId): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigInt64(0, id);
  return key;
}

function leaseValue(record: LeaseRecord): Uint8Array {
  const value = new Uint8Array(16);
  writeUint64(value, 0, record.ttlSeconds);
  writeUint64(value, 8, record.remainingSeconds);
  return value;
}
