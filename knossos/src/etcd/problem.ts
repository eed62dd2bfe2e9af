import type { History } from "../history.ts";
import type { EtcdAnswer, EtcdInput, EtcdKv, EtcdOutput } from "../models/etcd-types.ts";
import { MalformedHistory } from "../fold.ts";
import { compareUtf8 } from "./order.ts";
import type { EtcdOperation } from "./requests.ts";
import {
  executed,
  isReadOnly,
  isRequest,
  isSerializable,
  keysOfInput,
  possible,
  recordsOf,
  wrote,
} from "./requests.ts";
import type { SeenEvent } from "./facts.ts";

/** `initial` of an etcd history: what the store held before its first operation. Absent: revision 1, empty. */
export interface EtcdInitial {
  readonly revision: number;
  readonly compactRevision: number;
  readonly kvs: readonly EtcdKv[];
  readonly leases: readonly string[];
}

/** An operation whose effect, if any, we cannot place by a header revision. */
export interface Candidate {
  /** undefined for a lease expiry: nobody asked for it. */
  readonly operation?: EtcdOperation;
  readonly input: EtcdInput;
  readonly invoked: number;
  /** An acknowledged lease-revoke: if it made a revision, then its header's. */
  readonly only?: number;
  /** It made a revision later than this one: its lease was alive until then. */
  readonly after: number;
  /** Keys that it may write. */
  readonly writes: ReadonlySet<string>;
  /** Keys that its effect depends on. */
  readonly reads: ReadonlySet<string>;
  /** Candidates with the same text do the same. */
  readonly text: string;
}

/** The operations of a history, each put where its header revision says. */
export interface EtcdProblem {
  readonly initial: EtcdInitial;
  readonly foreignWriters: boolean;
  readonly keys: readonly string[];
  /** Acknowledged operations by header revision; those that made the revision are in `writers`. */
  readonly answered: ReadonlyMap<number, readonly EtcdOperation[]>;
  readonly writers: ReadonlyMap<number, EtcdOperation>;
  /** Two acknowledged writes with the same revision, if there are. */
  readonly duplicate?: readonly [EtcdOperation, EtcdOperation];
  readonly candidates: readonly Candidate[];
  /** Leases granted by an operation in doubt. */
  readonly doubtfulGrants: ReadonlyMap<string, EtcdOperation>;
  readonly serializable: readonly EtcdOperation[];
  /** Highest header revision of an acknowledged operation. */
  readonly top: number;
}

/** A header revision, or undefined where the answer has none (histories of other tools). */
export function revisionOf(operation: EtcdOperation): number | undefined {
  return operation.output?.revision;
}

export function readInitial(value: unknown): EtcdInitial {
  const initial = (value ?? {}) as Partial<EtcdInitial>;
  if (typeof initial !== "object" || Array.isArray(initial))
    throw new MalformedHistory(
      `initial state ${JSON.stringify(value)} of an etcd history; an object such as {"revision":1,"kvs":[]} is needed`,
    );
  const leases = (initial.leases ?? []) as readonly (string | { readonly id: string })[];
  return {
    revision: initial.revision ?? 1,
    compactRevision: initial.compactRevision ?? -1,
    kvs: initial.kvs ?? [],
    leases: leases.map((lease) => (typeof lease === "string" ? lease : lease.id)),
  };
}

export function prepare(history: History<EtcdInput, EtcdOutput>, events: readonly SeenEvent[]): EtcdProblem {
  const given = readInitial(history.initial);
  const answered = new Map<number, EtcdOperation[]>();
  const writers = new Map<number, EtcdOperation>();
  const serializable: EtcdOperation[] = [];
  const uncertain: EtcdOperation[] = [];
  const doubtfulGrants = new Map<string, EtcdOperation>();
  let duplicate: readonly [EtcdOperation, EtcdOperation] | undefined;
  let top = given.revision;
  for (const operation of history.operations) {
    if (operation.outcome === "fail" || isLeaseQuestion(operation.input)) continue;
    const revision = revisionOf(operation);
    if (operation.outcome === "info" || operation.output === undefined || revision === undefined) {
      if (operation.input.f === "lease-grant") doubtfulGrants.set(operation.input.id, operation);
      else if (!isReadOnly(operation.input) && operation.input.f !== "compact") uncertain.push(operation);
      continue;
    }
    if (isSerializable(operation.input)) {
      serializable.push(operation);
      continue;
    }
    top = Math.max(top, revision);
    const slot = answered.get(revision);
    if (slot === undefined) answered.set(revision, [operation]);
    else slot.push(operation);
    if (!wrote(operation.output)) continue;
    const other = writers.get(revision);
    if (other === undefined) writers.set(revision, operation);
    else duplicate ??= [other, operation];
  }
  const initial = { ...given, leases: [...given.leases, ...(history.foreignWriters ? leasesOf(history) : [])] };
  return {
    initial,
    foreignWriters: history.foreignWriters,
    keys: collectKeys(history, initial, events),
    answered,
    writers,
    ...(duplicate === undefined ? {} : { duplicate }),
    candidates: collectCandidates(history, uncertain, initial),
    doubtfulGrants,
    serializable,
    top,
  };
}

/** Keepalives and time-to-live are answered from one member's memory with whatever revision it has: no order can be read from them. */
export function isLeaseQuestion(input: EtcdInput): boolean {
  return input.f === "lease-keepalive" || input.f === "lease-time-to-live";
}

function collectKeys(
  history: History<EtcdInput, EtcdOutput>,
  initial: EtcdInitial,
  events: readonly SeenEvent[],
): readonly string[] {
  const keys = new Set<string>();
  for (const kv of initial.kvs) keys.add(kv.key);
  for (const { input, output, outcome } of history.operations) {
    for (const key of keysOfInput(input)) keys.add(key);
    if (output !== undefined && outcome === "ok") for (const kv of recordsOf(output)) keys.add(kv.key);
  }
  for (const event of events) keys.add(event.key);
  return [...keys].sort(compareUtf8);
}

/** Foreign writers may have granted what the operations use. */
function leasesOf(history: History<EtcdInput, EtcdOutput>): string[] {
  const granted = new Set<string>();
  const used = new Set<string>();
  for (const { input } of history.operations) {
    if (input.f === "lease-grant") granted.add(input.id);
    if (!isRequest(input)) continue;
    for (const request of possible(input))
      if (request.f === "put" && request.lease !== undefined && request.lease !== "0") used.add(request.lease);
  }
  return [...used].filter((id) => !granted.has(id));
}

function collectCandidates(
  history: History<EtcdInput, EtcdOutput>,
  uncertain: readonly EtcdOperation[],
  initial: EtcdInitial,
): Candidate[] {
  const attached = keysByLease(history, initial);
  const alive = aliveUntil(history, initial);
  const candidates = uncertain.map((operation) => candidate(operation, attached, alive));
  for (const id of initial.leases) candidates.push(expiry(id, Number.NEGATIVE_INFINITY, attached, alive));
  for (const operation of history.operations) {
    const { input, output, outcome, invoked } = operation;
    if (outcome === "fail") continue;
    if (input.f === "lease-grant") {
      const id = output?.f === "lease-grant" ? output.id : input.id;
      candidates.push(expiry(id, invoked, attached, alive));
    } else if (input.f === "lease-revoke" && outcome === "ok" && output !== undefined && output.f === "lease-revoke") {
      candidates.push({
        ...candidate(operation, attached, alive),
        only: output.revision,
        after: Number.NEGATIVE_INFINITY,
      });
    }
  }
  return candidates;
}

/** Keys that were ever seen or asked to be attached to each lease. */
function keysByLease(history: History<EtcdInput, EtcdOutput>, initial: EtcdInitial): Map<string, Set<string>> {
  const attached = new Map<string, Set<string>>();
  const add = (lease: string | undefined, key: string): void => {
    if (lease === undefined || lease === "0") return;
    const keys = attached.get(lease);
    if (keys === undefined) attached.set(lease, new Set([key]));
    else keys.add(key);
  };
  for (const kv of initial.kvs) add(kv.lease, kv.key);
  for (const { input, output } of history.operations) {
    if (isRequest(input))
      for (const request of possible(input)) if (request.f === "put") add(request.lease, request.key);
    if (output !== undefined) for (const kv of recordsOf(output)) add(kv.lease, kv.key);
  }
  return attached;
}

/**
 * Until which revision each lease certainly existed: granted, attached, or at last revoked by an acknowledged operation (then nothing else
 * ended it). Not for ids that may have been granted twice.
 */
function aliveUntil(history: History<EtcdInput, EtcdOutput>, initial: EtcdInitial): ReadonlyMap<string, number> {
  const grants = new Map<string, number>(initial.leases.map((id) => [id, 1]));
  const alive = new Map<string, number>();
  const raise = (id: string, revision: number): void =>
    void alive.set(id, Math.max(alive.get(id) ?? Number.NEGATIVE_INFINITY, revision));
  for (const { input, output, outcome } of history.operations) {
    if (outcome === "fail") continue;
    if (input.f === "lease-grant") {
      const id = output?.f === "lease-grant" ? output.id : input.id;
      grants.set(id, (grants.get(id) ?? 0) + 1);
    }
    const revision = output?.revision;
    if (outcome !== "ok" || revision === undefined) continue;
    if (output?.f === "lease-grant") raise(output.id, revision);
    else if (input.f === "lease-revoke") raise(input.id, Number.POSITIVE_INFINITY);
    else if (isRequest(input))
      for (const [request] of executed(input, output as EtcdAnswer))
        if (request.f === "put" && request.lease !== undefined) raise(request.lease, revision);
  }
  for (const [id, count] of grants) if (count > 1) alive.delete(id);
  return alive;
}

function expiry(
  id: string,
  invoked: number,
  attached: ReadonlyMap<string, Set<string>>,
  alive: ReadonlyMap<string, number>,
): Candidate {
  const keys = attached.get(id) ?? new Set<string>();
  return {
    input: { f: "lease-revoke", id },
    invoked,
    after: alive.get(id) ?? Number.NEGATIVE_INFINITY,
    writes: keys,
    reads: keys,
    text: `expiry ${id}`,
  };
}

function candidate(
  operation: EtcdOperation,
  attached: ReadonlyMap<string, Set<string>>,
  alive: ReadonlyMap<string, number>,
): Candidate {
  const { input } = operation;
  const writes = new Set<string>();
  const reads = new Set(keysOfInput(input));
  if (input.f === "lease-revoke") for (const key of attached.get(input.id) ?? []) writes.add(key);
  if (isRequest(input)) {
    for (const request of possible(input)) {
      if (
        request.f === "put" ||
        (request.f === "delete" && (request.rangeEnd === undefined || request.rangeEnd === ""))
      )
        writes.add(request.key);
    }
  }
  const after =
    input.f === "lease-revoke" ? (alive.get(input.id) ?? Number.NEGATIVE_INFINITY) : Number.NEGATIVE_INFINITY;
  return { operation, input, invoked: operation.invoked, after, writes, reads, text: JSON.stringify(input) };
}
