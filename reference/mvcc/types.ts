/** etcd's main revision: +1 for each write transaction. 1 is the empty store; the first write makes 2. */
export type Revision = number & { readonly __brand: "Revision" };
/** A lease's 64-bit id; 0n is "no lease". */
export type LeaseId = bigint;

export interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  readonly version: number;
  readonly lease: LeaseId;
}

export interface MvccEvent {
  readonly type: "put" | "delete";
  /** delete: only `key` and `modRevision` are set (the rest zero), as on etcd's wire. */
  readonly kv: KeyValue;
}

/** All events of one revision, in sub-revision order: a watcher gets them together or not at all. */
export interface RevisionEvents {
  readonly revision: Revision;
  readonly events: readonly MvccEvent[];
}

/** Key range as on etcd's wire: `rangeEnd` empty = the one key; a single zero byte = from `key` on; key "\0" and end "\0" = all. */
export interface KeyRange {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
}
