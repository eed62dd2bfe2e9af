/**
 * etcd v3 operations as a history holds them: JSON, keys and values as UTF-8 strings, revisions as numbers,
 * lease ids as decimal strings ("0" = none). Absent optional fields have etcd's zero meaning.
 */
export interface EtcdKv {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: string;
}

export interface EtcdPut {
  readonly f: "put";
  readonly key: string;
  readonly value: string;
  readonly lease?: string;
  readonly prevKv?: boolean;
  readonly ignoreValue?: boolean;
  readonly ignoreLease?: boolean;
}
export interface EtcdDelete {
  readonly f: "delete";
  readonly key: string;
  readonly rangeEnd?: string;
  readonly prevKv?: boolean;
}
export interface EtcdRange {
  readonly f: "range";
  readonly key: string;
  readonly rangeEnd?: string;
  readonly revision?: number;
  readonly limit?: number;
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly sort?: {
    readonly target: "key" | "version" | "create" | "mod" | "value";
    readonly order: "ascend" | "descend";
  };
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
}
export interface EtcdCompare {
  readonly key: string;
  readonly rangeEnd?: string;
  readonly target: "version" | "create" | "mod" | "value" | "lease";
  readonly result: "=" | "!=" | ">" | "<";
  /** number for version, create, mod; string for value and lease. */
  readonly operand: number | string;
}
export interface EtcdTxn {
  readonly f: "txn";
  readonly compare: readonly EtcdCompare[];
  readonly success: readonly EtcdRequest[];
  readonly failure: readonly EtcdRequest[];
}
/** What may stand in a txn's branch. */
export type EtcdRequest = EtcdPut | EtcdDelete | EtcdRange | EtcdTxn;
export interface EtcdCompact {
  readonly f: "compact";
  readonly revision: number;
  readonly physical?: boolean;
}
export interface EtcdLeaseGrant {
  readonly f: "lease-grant";
  readonly id: string;
  readonly ttlSeconds: number;
}
export interface EtcdLeaseRevoke {
  readonly f: "lease-revoke";
  readonly id: string;
}
export interface EtcdLeaseTimeToLive {
  readonly f: "lease-time-to-live";
  readonly id: string;
  readonly keys?: boolean;
}
export interface EtcdLeaseKeepAlive {
  readonly f: "lease-keepalive";
  readonly id: string;
}
export type EtcdInput =
  | EtcdRequest
  | EtcdCompact
  | EtcdLeaseGrant
  | EtcdLeaseRevoke
  | EtcdLeaseTimeToLive
  | EtcdLeaseKeepAlive;

/** `revision` is the header's; nested answers of a txn have none. */
export interface EtcdPutAnswer {
  readonly f: "put";
  readonly revision?: number;
  readonly prevKv?: EtcdKv;
}
export interface EtcdDeleteAnswer {
  readonly f: "delete";
  readonly revision?: number;
  readonly deleted: number;
  readonly prevKvs?: readonly EtcdKv[];
}
export interface EtcdRangeAnswer {
  readonly f: "range";
  readonly revision?: number;
  readonly kvs: readonly EtcdKv[];
  readonly count: number;
  readonly more: boolean;
}
export interface EtcdTxnAnswer {
  readonly f: "txn";
  readonly revision?: number;
  readonly succeeded: boolean;
  readonly answers: readonly EtcdAnswer[];
}
export type EtcdAnswer = EtcdPutAnswer | EtcdDeleteAnswer | EtcdRangeAnswer | EtcdTxnAnswer;
export type EtcdOutput =
  | EtcdAnswer
  | { readonly f: "compact"; readonly revision: number }
  | { readonly f: "lease-grant"; readonly revision: number; readonly id: string; readonly ttlSeconds: number }
  | { readonly f: "lease-revoke"; readonly revision: number }
  | {
      readonly f: "lease-time-to-live";
      readonly revision: number;
      readonly ttlSeconds: number;
      readonly grantedSeconds: number;
      readonly keys?: readonly string[];
    }
  | { readonly f: "lease-keepalive"; readonly revision: number; readonly ttlSeconds: number };

/** `input` of an `open` event for a watch. */
export interface WatchInput {
  readonly f: "watch";
  readonly key: string;
  readonly rangeEnd?: string;
  /** 0 or absent: from now. */
  readonly startRevision?: number;
  readonly prevKv?: boolean;
  readonly noPut?: boolean;
  readonly noDelete?: boolean;
  readonly progressNotify?: boolean;
  readonly fragment?: boolean;
  /** The stream that this one continues after it broke (same watcher, same range and filters). */
  readonly resumes?: number;
}

export interface WatchEvent {
  readonly type: "put" | "delete";
  readonly kv: EtcdKv;
  readonly prevKv?: EtcdKv;
}

/** `message` of a watch stream; `revision` is the header's. */
export interface WatchMessage {
  readonly revision: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly cancelReason?: string;
  readonly compactRevision?: number;
  readonly fragment?: boolean;
  /** An answer without events that says how far the watch has come. */
  readonly progress?: boolean;
  readonly events: readonly WatchEvent[];
}
