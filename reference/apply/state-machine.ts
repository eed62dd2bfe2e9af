import type { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import {
  AlarmType,
  type CompactionRequest,
  type DeleteRangeRequest,
  type LeaseCheckpointRequest,
  type LeaseGrantRequest,
  type LeaseRevokeRequest,
  type PutRequest,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
} from "../../api/etcd/gen/rpc.ts";
import { assert } from "../../seams/assert.ts";
import type { Backend, BackendWrite } from "../mvcc/backend.ts";
import { hashBackend } from "../mvcc/hash.ts";
import { MvccStore } from "../mvcc/store.ts";
import type { LeaseId, RevisionEvents } from "../mvcc/types.ts";
import type { ConfState, Index, Term } from "../raft/types.ts";
import { Alarms } from "./alarms.ts";
import { errors, isApplyError } from "./errors.ts";
import { MemberDirectory } from "./members.ts";
import { confStateWrite, loadConfState, loadPosition, mayDifferBetweenMembers, positionWrite } from "./position.ts";
import { executeRange } from "./range.ts";
import {
  checkLease,
  checkPut,
  checkTxn,
  executeDeleteRange,
  executePut,
  executeReadTxn,
  executeTxn,
  mayPut,
  onlyReads,
} from "./txn.ts";
import type { ApplyEntry, ApplyError, ApplyResult, Response, StateMachine } from "./types.ts";
import { header, plain } from "./wire.ts";

/** etcd's longest lease, in seconds. */
const MAX_TTL_SECONDS = 9_000_000_000;
/** Records of a compaction's clean-up looked at with each batch of entries: below a millisecond. */
const SLICE_RECORDS = 100;
const STEP_RECORDS = 1000;

/** Opens the state machine on a backend; it continues where the backend's last commit ended. */
export function openStateMachine(backend: Backend): StateMachine {
  return new EtcdStateMachine(backend);
}

/** What one request did; the entry's index and id are added to it. */
type Effect = Omit<ApplyResult, "index" | "requestId">;

const NOTHING: Effect = { response: { kind: "none" } };

class EtcdStateMachine implements StateMachine {
  readonly mvcc: MvccStore;
  readonly #backend: Backend;
  readonly #alarms: Alarms;
  readonly #members: MemberDirectory;
  #index: Index;
  #term: Term;
  #confState: ConfState | undefined;
  /** Writes of the commit in the making. */
  #batch: BackendWrite[] = [];

  constructor(backend: Backend) {
    this.#backend = backend;
    this.mvcc = new MvccStore(backend);
    this.#alarms = Alarms.load(backend);
    this.#members = MemberDirectory.load(backend);
    this.#confState = loadConfState(backend);
    ({ index: this.#index, term: this.#term } = loadPosition(backend));
  }

  get appliedIndex(): Index {
    return this.#index;
  }

  get appliedTerm(): Term {
    return this.#term;
  }

  get confState(): ConfState | undefined {
    return this.#confState;
  }

  get leases(): StateMachine["leases"] {
    return this.mvcc.leases.all;
  }

  get alarms(): StateMachine["alarms"] {
    return this.#alarms.active;
  }

  get memberAttributes(): StateMachine["memberAttributes"] {
    return this.#members.attributes;
  }

  get clusterVersion(): string | undefined {
    return this.#members.clusterVersion;
  }

  apply(entries: readonly ApplyEntry[]): { readonly results: readonly ApplyResult[]; readonly flushed: Promise<void> } {
    // First, while all the store knows is committed: the clean-up walks the backend.
    if (this.mvcc.compacting) this.mvcc.compactStep(this.#batch, SLICE_RECORDS);
    const results = entries.map((entry) => this.#applyEntry(entry));
    if (entries.length > 0) this.#batch.push(positionWrite({ index: this.#index, term: this.#term }));
    return { results, flushed: this.#commit() };
  }

  compactStep(limit = STEP_RECORDS): { readonly done: boolean; readonly flushed: Promise<void> } {
    const done = this.mvcc.compactStep(this.#batch, limit);
    return { done, flushed: this.#commit() };
  }

  #commit(): Promise<void> {
    const { flushed } = this.#backend.commit(this.#batch);
    this.#batch = [];
    this.mvcc.committed();
    return flushed;
  }

  #applyEntry(entry: ApplyEntry): ApplyResult {
    assert(entry.index === this.#index + 1, "entries are applied in order, each once");
    assert(entry.term >= this.#term, "terms of the log never go back");
    this.#index = entry.index;
    this.#term = entry.term;
    if (entry.confState !== undefined) {
      this.#confState = entry.confState;
      this.#batch.push(confStateWrite(entry.confState));
    }
    const { request } = entry;
    const effect = request === undefined ? NOTHING : this.#applyRequest(request);
    return { index: entry.index, requestId: request?.header?.ID ?? 0n, ...effect };
  }

  #applyRequest(request: InternalRaftRequest): Effect {
    if (request.put !== undefined) return this.#put(request.put);
    if (request.txn !== undefined) return this.#txn(request.txn);
    if (request.deleteRange !== undefined) return this.#deleteRange(request.deleteRange);
    if (request.range !== undefined) return answer("range", this.#whole() ?? executeRange(this.mvcc, request.range));
    if (request.compaction !== undefined) return this.#compaction(request.compaction);
    if (request.leaseGrant !== undefined) return this.#leaseGrant(request.leaseGrant);
    if (request.leaseRevoke !== undefined) return this.#leaseRevoke(request.leaseRevoke);
    if (request.leaseCheckpoint !== undefined) return this.#leaseCheckpoint(request.leaseCheckpoint);
    if (request.alarm !== undefined) {
      const alarms = this.#alarms.handle(request.alarm, this.#batch);
      return answer("alarm", { header: header(this.mvcc.currentRevision), alarms });
    }
    return this.#applyClusterRequest(request);
  }

  #applyClusterRequest(request: InternalRaftRequest): Effect {
    const { clusterMemberAttrSet: published, clusterVersionSet: agreed } = request;
    if (published?.memberAttributes !== undefined)
      this.#members.publish(published.memberID, published.memberAttributes, this.#batch);
    else if (agreed !== undefined) this.#members.setClusterVersion(agreed.ver, this.#batch);
    else if (
      published === undefined &&
      request.downgradeInfoSet === undefined &&
      request.downgradeVersionTest === undefined
    )
      return { error: errors.notCapable };
    return NOTHING;
  }

  /** The error that a corruption alarm makes of every access to keys. */
  #whole(): ApplyError | undefined {
    return this.#alarms.has(AlarmType.CORRUPT) ? errors.corrupt : undefined;
  }

  /** The same, and for what takes space the error of a space alarm. */
  #roomy(): ApplyError | undefined {
    return this.#whole() ?? (this.#alarms.has(AlarmType.NOSPACE) ? errors.noSpace : undefined);
  }

  #put(request: PutRequest): Effect {
    // Alone, a put is refused for its lease first; within a transaction (`checkPut`) for its missing key first.
    const error = this.#roomy() ?? checkLease(this.mvcc, request) ?? checkPut(this.mvcc, request);
    if (error !== undefined) return { error };
    const txn = this.mvcc.write(this.#batch);
    const message = executePut(this.mvcc, txn, request);
    return withEvents(answer("put", message), txn.end());
  }

  #deleteRange(request: DeleteRangeRequest): Effect {
    const error = this.#whole();
    if (error !== undefined) return { error };
    const txn = this.mvcc.write(this.#batch);
    const message = executeDeleteRange(txn, request);
    return withEvents(answer("deleteRange", message), txn.end());
  }

  #txn(request: TxnRequest): Effect {
    const error = mayPut(request) ? this.#roomy() : this.#whole();
    if (error !== undefined) return { error };
    const checked = checkTxn(this.mvcc, request);
    if (isApplyError(checked)) return { error: checked };
    const txn = this.mvcc.write(this.#batch);
    const message = executeTxn(this.mvcc, txn, checked);
    return withEvents(answer("txn", message), txn.end());
  }

  #compaction(request: CompactionRequest): Effect {
    const error = this.#whole();
    if (error !== undefined) return { error };
    const failure = this.mvcc.compact(plain(request.revision), this.#batch);
    if (failure !== undefined) return { error: failure === "future" ? errors.futureRev : errors.compacted };
    return {
      ...answer("compaction", { header: header(this.mvcc.currentRevision) }),
      compacted: this.mvcc.compactRevision,
    };
  }

  #leaseGrant(request: LeaseGrantRequest): Effect {
    const error = this.#roomy();
    if (error !== undefined) return { error };
    if (request.ID === 0n) return { error: errors.leaseNotFound };
    const ttlSeconds = Math.max(plain(request.TTL), 0);
    if (ttlSeconds > MAX_TTL_SECONDS) return { error: errors.leaseTtlTooLarge };
    if (this.mvcc.leases.all.has(request.ID)) return { error: errors.leaseExist };
    this.mvcc.leases.grant(request.ID, ttlSeconds, this.#batch);
    const message = { header: header(this.mvcc.currentRevision), ID: request.ID, TTL: request.TTL, error: "" };
    return { ...answer("leaseGrant", message), leases: { granted: { id: request.ID, ttlSeconds } } };
  }

  /** Deletes the keys of the lease in one revision, in their order, so that every member numbers them alike. */
  #leaseRevoke(request: LeaseRevokeRequest): Effect {
    const error = this.#whole();
    if (error !== undefined) return { error };
    const id: LeaseId = request.ID;
    const lease = this.mvcc.leases.all.get(id);
    if (lease === undefined) return { error: errors.leaseNotFound };
    const txn = this.mvcc.write(this.#batch);
    for (const key of [...lease.keys].toSorted()) txn.deleteRange({ low: key, high: key, single: true });
    this.mvcc.leases.remove(id, this.#batch);
    const events = txn.end();
    const effect = withEvents(answer("leaseRevoke", { header: header(this.mvcc.currentRevision) }), events);
    return { ...effect, leases: { revoked: id } };
  }

  /** Leases that are gone are passed over, as etcd does. */
  #leaseCheckpoint(request: LeaseCheckpointRequest): Effect {
    const checkpoints = request.checkpoints
      .map(({ ID, remainingTTL }) => ({ id: ID, remainingSeconds: Math.max(plain(remainingTTL), 0) }))
      .filter(({ id, remainingSeconds }) => this.mvcc.leases.checkpoint(id, remainingSeconds, this.#batch));
    return { ...answer("leaseCheckpoint", { header: header(this.mvcc.currentRevision) }), leases: { checkpoints } };
  }

  range(request: RangeRequest): RangeResponse | ApplyError {
    return executeRange(this.mvcc, request);
  }

  readTxn(request: TxnRequest): TxnResponse | ApplyError {
    assert(onlyReads(request), "a transaction with writes goes through the log");
    const checked = checkTxn(this.mvcc, request);
    return isApplyError(checked) ? checked : executeReadTxn(this.mvcc, checked);
  }

  hash(): number {
    return hashBackend(this.#backend, mayDifferBetweenMembers);
  }
}

type MessageOf<K extends Response["kind"]> =
  Extract<Response, { readonly kind: K }> extends { readonly message: infer M } ? M : never;

function answer<K extends Exclude<Response["kind"], "none">>(kind: K, message: MessageOf<K> | ApplyError): Effect {
  return isApplyError(message as object)
    ? { error: message as ApplyError }
    : { response: { kind, message } as Response };
}

function withEvents(effect: Effect, events: RevisionEvents | undefined): Effect {
  return events === undefined ? effect : { ...effect, events };
}
