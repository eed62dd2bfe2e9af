/** The ordered spaces of one backend. */
export type Bucket = "key" | "meta" | "lease" | "auth" | "members" | "alarm";

export type BackendWrite =
  | { readonly op: "put"; readonly bucket: Bucket; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly op: "delete"; readonly bucket: Bucket; readonly key: Uint8Array };

/**
 * The second durable seam. A commit is atomic; commits are ordered; `get` and `range` see a commit as soon as `commit` returns.
 * After a crash the content is that of some commit at or after the last one whose `flushed` resolved, with nothing of later ones.
 */
export interface Backend {
  commit(batch: readonly BackendWrite[]): { readonly flushed: Promise<void> };
  get(bucket: Bucket, key: Uint8Array): Uint8Array | undefined;
  /** `[start, end)` in byte order, `end` undefined = to the end of the bucket. The iterable is of one moment; do not commit while iterating. */
  range(
    bucket: Bucket,
    start: Uint8Array,
    end: Uint8Array | undefined,
    options?: { limit?: number; reverse?: boolean },
  ): Iterable<readonly [Uint8Array, Uint8Array]>;
  /** A stream from which `BackendFactory.restore` makes an equal backend: the state of one commit, however long it is read. */
  snapshot(): AsyncIterable<Uint8Array>;
  /** Space allocated and space in use. */
  sizeBytes(): { readonly allocated: number; readonly inUse: number };
  close(): Promise<void>;
}

/** Opens backends at a place (for lmdb: a directory). `restore` is atomic: after a crash there is the old content or the new. */
export interface BackendFactory {
  open(): Promise<Backend>;
  /** Replaces the content by a snapshot stream; durable when it resolves. The backend must be closed. */
  restore(stream: AsyncIterable<Uint8Array>): Promise<void>;
}
