import type { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type { Attributes } from "../../api/etcd/gen/membership.ts";
import type * as rpc from "../../api/etcd/gen/rpc.ts";
import type { KeyRange, KeyValue, LeaseId, Revision, RevisionEvents } from "../mvcc/types.ts";
import type { ConfState, Index, Term } from "../raft/types.ts";

/** What a committed request answers. `header` fields other than `revision` are the server's to fill. */
export type Response =
  | { readonly kind: "put"; readonly message: rpc.PutResponse }
  | { readonly kind: "deleteRange"; readonly message: rpc.DeleteRangeResponse }
  | { readonly kind: "range"; readonly message: rpc.RangeResponse }
  | { readonly kind: "txn"; readonly message: rpc.TxnResponse }
  | { readonly kind: "compaction"; readonly message: rpc.CompactionResponse }
  | { readonly kind: "leaseGrant"; readonly message: rpc.LeaseGrantResponse }
  | { readonly kind: "leaseRevoke"; readonly message: rpc.LeaseRevokeResponse }
  | { readonly kind: "leaseCheckpoint"; readonly message: rpc.LeaseCheckpointResponse }
  | { readonly kind: "alarm"; readonly message: rpc.AlarmResponse }
  | { readonly kind: "none" };

/** An expected failure with etcd's own gRPC code and text ("etcdserver: requested lease not found"). */
export interface ApplyError {
  /** gRPC status code number. */
  readonly code: number;
  readonly message: string;
}

/** What one entry did. A failed entry advances the index too. */
export interface ApplyResult {
  readonly index: Index;
  /** The request's `header.ID`: who proposed it waits for it; 0n = nobody. */
  readonly requestId: bigint;
  readonly response?: Response;
  readonly error?: ApplyError;
  /** Set when the entry made a revision. */
  readonly events?: RevisionEvents;
  /** Leases this entry granted or ended: the lessor keeps deadlines for them. */
  readonly leases?: {
    readonly granted?: { readonly id: LeaseId; readonly ttlSeconds: number };
    readonly revoked?: LeaseId;
    readonly checkpoints?: readonly { readonly id: LeaseId; readonly remainingSeconds: number }[];
  };
  readonly compacted?: Revision;
}

export interface ApplyEntry {
  readonly index: Index;
  readonly term: Term;
  /** undefined: a leader's no-op or a membership entry; only the index advances. */
  readonly request: InternalRaftRequest | undefined;
  /** Membership after this entry, when it was a confChange. */
  readonly confState?: ConfState;
}

/** Reads of the multi-version store: pure functions of what has been applied. */
export interface MvccReader {
  readonly currentRevision: Revision;
  /** Reads below it answer "required revision has been compacted". */
  readonly compactRevision: Revision;
  /** The key as it was at `revision` (0: now); undefined if absent then. */
  keyAt(key: Uint8Array, revision: number): KeyValue | undefined;
  /**
   * Revisions from `from` up to `to` inclusive that touch the range, oldest first, at most about `limit` events (whole revisions).
   * `next` is the revision to go on from. `from` must not be below `compactRevision`; what happened at it is still there.
   */
  eventsBetween(
    range: KeyRange,
    from: number,
    to: number,
    limit: number,
  ): { readonly revisions: readonly RevisionEvents[]; readonly next: Revision };
  /** CRC-32C over the key space up to `revision` (0: now), as etcd's HashKV defines it. */
  hashKv(revision: number): {
    readonly hash: number;
    readonly compactRevision: Revision;
    readonly hashRevision: Revision;
  };
}

/**
 * (state, entry) -> state over a Backend. It reads no clock and nothing that may differ between members.
 * Opened on a backend it continues where that backend's last commit ended.
 */
export interface StateMachine {
  readonly appliedIndex: Index;
  readonly appliedTerm: Term;
  /** undefined on a fresh backend: the initial cluster is in effect. */
  readonly confState: ConfState | undefined;
  readonly mvcc: MvccReader;
  /** Every live lease with its granted TTL, the remaining TTL last checkpointed (0: none) and its keys, as `keyText` of `mvcc/key-text.ts` gives them (`keyBytes` is the way back). */
  readonly leases: ReadonlyMap<
    LeaseId,
    { readonly ttlSeconds: number; readonly remainingSeconds: number; readonly keys: ReadonlySet<string> }
  >;
  /** Names and client URLs that members have published through the log. */
  readonly memberAttributes: ReadonlyMap<bigint, Attributes>;
  /** The version the cluster agreed on ("3.6.0"); undefined before the first agreement. */
  readonly clusterVersion: string | undefined;
  /** Active alarms, by member. */
  readonly alarms: readonly rpc.AlarmMember[];
  /** Applies entries in order, each with its (index, term) in one backend commit. */
  apply(entries: readonly ApplyEntry[]): { readonly results: readonly ApplyResult[]; readonly flushed: Promise<void> };
  /**
   * Compaction is logical at once; the records it leaves behind are removed in slices. `apply` takes a small slice each time;
   * an idle member calls this (and a `physical` compaction waits for it) until `done`. `limit`: records looked at, default 1000.
   */
  compactStep(limit?: number): { readonly done: boolean; readonly flushed: Promise<void> };
  /** A read of what is applied, etcd's Range semantics and errors; never changes state. */
  range(request: rpc.RangeRequest): rpc.RangeResponse | ApplyError;
  /** A txn in which every branch only reads. */
  readTxn(request: rpc.TxnRequest): rpc.TxnResponse | ApplyError;
  /** etcd's Maintenance.Hash: CRC-32C over the whole backend. */
  hash(): number;
}
