import { crc32c } from "@node-rs/crc32";
import type { Backend, Bucket } from "./backend.ts";
import type { KeyIndex } from "./key-index.ts";
import { keyText } from "./key-text.ts";
import { keyOfRecord } from "./key-value.ts";
import { isTombstone, mainOf, revisionKey, subOf } from "./revision.ts";

const NO_BYTES = new Uint8Array(0);
const BUCKETS: readonly Bucket[] = ["alarm", "auth", "key", "lease", "members", "meta"];

/**
 * etcd's HashKV: CRC-32C over the bucket's name, then key and value of each stored change up to `revision`, leaving out what
 * compaction removes, whether or not it has been removed yet (etcd 3.6 `mvcc/hash.go`).
 * Below the compact revision only what is still the key's value at `revision` counts; if no key exists at `revision`, etcd counts
 * all that compaction left. A tombstone at exactly the compact revision never counts: old versions of etcd had removed it.
 */
export function hashKv(backend: Backend, index: KeyIndex, compactRevision: number, revision: number): number {
  const somethingLives = index.anyAt(revision);
  let crc = crc32c("key");
  for (const [key, record] of backend.range("key", NO_BYTES, revisionKey(revision + 1, 0))) {
    const main = mainOf(key);
    if (main <= compactRevision) {
      if (main === compactRevision && isTombstone(key)) continue;
      const text = keyText(keyOfRecord(record));
      const sub = subOf(key);
      if (somethingLives) {
        const live = index.get(text, revision);
        if (live === undefined || live.main !== main || live.sub !== sub) continue;
      } else if (!index.keptByCompaction(text, compactRevision, main, sub)) continue;
    }
    crc = crc32c(record, crc32c(key, crc));
  }
  return crc;
}

/** etcd's Maintenance.Hash: CRC-32C over every bucket's name, keys and values, in order; `ignored` tells what may differ between members. */
export function hashBackend(backend: Backend, ignored: (bucket: Bucket, key: Uint8Array) => boolean): number {
  let crc = 0;
  for (const bucket of BUCKETS) {
    crc = crc32c(bucket, crc);
    for (const [key, value] of backend.range(bucket, NO_BYTES, undefined)) {
      if (!ignored(bucket, key)) crc = crc32c(value, crc32c(key, crc));
    }
  }
  return crc;
}
