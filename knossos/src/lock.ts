import { executed, isRequest } from "./etcd/requests.ts";
import type { EtcdOperation } from "./etcd/requests.ts";
import { validateEtcd } from "./etcd/validate.ts";
import type { History, Nanoseconds } from "./history.ts";
import type { EtcdAnswer, EtcdCompare, EtcdInput, EtcdKv, EtcdOutput, EtcdTxn } from "./models/etcd-types.ts";
import { seconds } from "./time.ts";
import type { Finding, Verdict } from "./verdict.ts";
import { watchesOf } from "./watch/sightings.ts";

/** A token handed out: the create revision of the lock key. */
interface Acquisition {
  readonly lock: string;
  readonly token: number;
  readonly operation: EtcdOperation;
  readonly lease: string;
  released: Nanoseconds;
}

/** A record of the fenced resource with its token, at the revision that made it. */
interface Fenced {
  readonly resource: string;
  readonly lock: string | undefined;
  readonly token: number;
  readonly revision: number;
  readonly invoked: Nanoseconds;
  readonly returned: Nanoseconds;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
}

/**
 * Judges a fenced resource: no write with an older token after one with a newer (by revision, and by real time), each token handed out
 * once, no write with a token that was not. Overlapping holders are reported without failing. The convention of the
 * recorded operations is in the README ("The lock convention").
 */
export function checkLock(history: History): Verdict {
  return new LockCheck(validateEtcd(history)).verdict();
}

class LockCheck {
  readonly #history: History<EtcdInput, EtcdOutput>;
  readonly #acquisitions: Acquisition[] = [];
  readonly #locks = new Set<string>();
  /** Resource -> the lock that fences it. */
  readonly #resources = new Map<string, string>();
  readonly #findings: Finding[] = [];
  readonly #notes: Finding[] = [];

  constructor(history: History<EtcdInput, EtcdOutput>) {
    this.#history = history;
  }

  verdict(): Verdict {
    this.#collectLocks();
    const fenced = this.#collectFenced();
    this.#checkTokens(fenced);
    for (const resource of this.#resources.keys()) this.#checkOrder(fenced.filter((one) => one.resource === resource));
    this.#reportOverlaps();
    const stats = {
      locks: this.#locks.size,
      acquisitions: this.#acquisitions.length,
      fencedWrites: fenced.length,
      overlaps: this.#notes.length,
    };
    const findings = [...this.#findings, ...this.#notes];
    if (this.#findings.length > 0) return { valid: false, checker: "lock", findings, stats };
    if (fenced.length === 0)
      return {
        valid: "unknown",
        checker: "lock",
        findings,
        why: "no fenced write was acknowledged or seen, so there is nothing to judge",
        stats,
      };
    return { valid: true, checker: "lock", findings, stats };
  }

  #collectLocks(): void {
    for (const operation of this.#history.operations) {
      const { input, output, outcome } = operation;
      if (input.f !== "txn") continue;
      const lock = lockOf(input);
      if (lock === undefined) continue;
      this.#locks.add(lock.key);
      if (outcome !== "ok" || output?.f !== "txn" || !output.succeeded || output.revision === undefined) continue;
      this.#acquisitions.push({
        lock: lock.key,
        token: output.revision,
        operation,
        lease: lock.lease,
        released: Number.POSITIVE_INFINITY,
      });
    }
    for (const { input } of this.#history.operations) {
      if (input.f !== "txn") continue;
      const lock = this.#fenceOf(input)?.key;
      if (lock === undefined) continue;
      for (const request of input.success)
        if (request.f === "put" && !this.#locks.has(request.key)) this.#resources.set(request.key, lock);
    }
    this.#collectReleases();
  }

  /** The compare of a lock key's create revision with a token. */
  #fenceOf(txn: EtcdTxn): EtcdCompare | undefined {
    return txn.compare.find(
      (compare) =>
        this.#locks.has(compare.key) &&
        compare.target === "create" &&
        compare.result === "=" &&
        Number(compare.operand) > 0,
    );
  }

  /** A holder lets go when it calls a revoke or a delete, whether or not that works: it believes no longer. */
  #collectReleases(): void {
    for (const { input, process, invoked } of this.#history.operations) {
      for (const acquisition of this.#acquisitions) {
        if (invoked < acquisition.operation.invoked || invoked >= acquisition.released) continue;
        const revokes = input.f === "lease-revoke" && input.id === acquisition.lease;
        const deletes =
          process === acquisition.operation.process &&
          isRequest(input) &&
          requestsOf(input).some((request) => request.f === "delete" && request.key === acquisition.lock);
        if (revokes || deletes) acquisition.released = invoked;
      }
    }
  }

  #collectFenced(): Fenced[] {
    const found = new Map<string, Fenced>();
    const add = (fenced: Fenced): void => {
      const id = `${fenced.resource} ${fenced.revision} ${fenced.token}`;
      const known = found.get(id);
      // An acknowledged write knows its call; sightings only bound its end.
      if (
        known === undefined ||
        (known.invoked === Number.NEGATIVE_INFINITY && fenced.invoked !== Number.NEGATIVE_INFINITY)
      )
        found.set(id, fenced);
    };
    for (const operation of this.#history.operations) {
      const { input, output, outcome, invoked, returned } = operation;
      if (outcome !== "ok" || output === undefined || !isRequest(input) || returned === undefined) continue;
      const lock = input.f === "txn" ? this.#fenceOf(input) : undefined;
      for (const [request, answer] of executed(input, output as EtcdAnswer)) {
        if (request.f === "put" && this.#resources.has(request.key) && output.revision !== undefined) {
          const token = tokenOf(request.value);
          if (token === undefined || lock === undefined) this.#unfenced(operation, request.key);
          else
            add({
              resource: request.key,
              lock: lock.key,
              token,
              revision: output.revision,
              invoked,
              returned,
              operations: [operation.op],
            });
          if (token !== undefined && lock !== undefined && token !== Number(lock.operand))
            this.#wrongToken(operation, token, Number(lock.operand));
        } else if (request.f === "range" && answer.f === "range" && request.keysOnly !== true) {
          for (const kv of answer.kvs) this.#addSeen(kv, returned, { operations: [operation.op] }, add);
        }
      }
    }
    for (const watch of watchesOf(this.#history.streams)) {
      for (const { time, message } of watch.messages) {
        for (const event of message.events)
          if (event.type === "put") this.#addSeen(event.kv, time, { operations: [], streams: [watch.stream] }, add);
      }
    }
    return [...found.values()].sort((a, b) => a.revision - b.revision);
  }

  #addSeen(
    kv: EtcdKv,
    returned: Nanoseconds,
    by: { readonly operations: readonly number[]; readonly streams?: readonly number[] },
    add: (fenced: Fenced) => void,
  ): void {
    const token = this.#resources.has(kv.key) ? tokenOf(kv.value) : undefined;
    if (token !== undefined)
      add({
        resource: kv.key,
        lock: this.#resources.get(kv.key),
        token,
        revision: kv.modRevision,
        invoked: Number.NEGATIVE_INFINITY,
        returned,
        ...by,
      });
  }

  #unfenced(operation: EtcdOperation, resource: string): void {
    this.#findings.push({
      kind: "unfenced-write",
      message: `operation ${operation.op} wrote ${resource} without comparing a lock's create revision with its token, so nothing fences it`,
      operations: [operation.op],
    });
  }

  #wrongToken(operation: EtcdOperation, token: number, compared: number): void {
    this.#findings.push({
      kind: "wrong-token",
      message: `operation ${operation.op} wrote token ${token} under a compare with token ${compared}`,
      operations: [operation.op],
    });
  }

  #checkTokens(fenced: readonly Fenced[]): void {
    const byToken = new Map<string, Acquisition>();
    for (const acquisition of this.#acquisitions) {
      const id = `${acquisition.lock} ${acquisition.token}`;
      const other = byToken.get(id);
      if (other === undefined) byToken.set(id, acquisition);
      else
        this.#findings.push({
          kind: "token-given-twice",
          message: `operations ${other.operation.op} and ${acquisition.operation.op} both acquired ${acquisition.lock} with token ${acquisition.token}`,
          operations: [other.operation.op, acquisition.operation.op],
        });
    }
    for (const one of fenced) {
      if (one.lock === undefined) continue;
      if (one.revision <= one.token)
        this.#findings.push({
          kind: "token-from-the-future",
          message: `${one.resource} got token ${one.token} at revision ${one.revision}, before that token existed`,
          operations: one.operations,
          ...streamsOf(one),
        });
      const acquired = byToken.get(`${one.lock} ${one.token}`);
      if (acquired === undefined && !this.#mayHaveAcquired(one.lock, one.returned)) {
        this.#findings.push({
          kind: "token-never-given",
          message: `${one.resource} was written with token ${one.token} at revision ${one.revision}, but nobody acquired ${one.lock} with it`,
          operations: one.operations,
          ...streamsOf(one),
        });
      }
    }
  }

  /** An acquisition in doubt may have handed out any token. */
  #mayHaveAcquired(lock: string, by: Nanoseconds): boolean {
    return (
      this.#history.foreignWriters ||
      this.#history.operations.some(
        (operation) =>
          operation.outcome === "info" &&
          operation.invoked <= by &&
          operation.input.f === "txn" &&
          lockOf(operation.input)?.key === lock,
      )
    );
  }

  #checkOrder(fenced: readonly Fenced[]): void {
    let newest: Fenced | undefined;
    for (const one of fenced) {
      if (newest !== undefined && one.token < newest.token) {
        this.#older(
          newest,
          one,
          `at revision ${one.revision}, after token ${newest.token} at revision ${newest.revision}`,
        );
      }
      if (newest === undefined || one.token > newest.token) newest = one;
    }
    // By real time too: a revision may lie. Sorted by call, the newest token that had returned before must not be newer.
    const byReturn = [...fenced].sort((a, b) => a.returned - b.returned);
    let done = 0;
    let best: Fenced | undefined;
    for (const one of [...fenced].sort((a, b) => a.invoked - b.invoked)) {
      while (done < byReturn.length && (byReturn[done] as Fenced).returned < one.invoked) {
        const returned = byReturn[done++] as Fenced;
        if (best === undefined || returned.token > best.token) best = returned;
      }
      if (best !== undefined && one.token < best.token && one.revision <= best.revision) {
        this.#older(
          best,
          one,
          `called at ${seconds(one.invoked)}, after token ${best.token} had been written by ${seconds(best.returned)}`,
        );
      }
    }
  }

  #older(newer: Fenced, older: Fenced, text: string): void {
    const streams = [...(newer.streams ?? []), ...(older.streams ?? [])];
    this.#findings.push({
      kind: "older-token-after-newer",
      message: `${older.resource} was written with token ${older.token} ${text}`,
      operations: [...newer.operations, ...older.operations],
      ...(streams.length > 0 ? { streams } : {}),
    });
  }

  #reportOverlaps(): void {
    const sorted = [...this.#acquisitions].sort((a, b) => (a.operation.returned ?? 0) - (b.operation.returned ?? 0));
    for (const lock of this.#locks) {
      let holder: Acquisition | undefined;
      for (const one of sorted.filter((acquisition) => acquisition.lock === lock)) {
        const from = one.operation.returned ?? 0;
        if (holder !== undefined && holder.released > from) {
          this.#notes.push({
            kind: "overlapping-holders",
            message: `token ${one.token} of ${lock} was handed out by ${seconds(from)} while the holder of token ${holder.token} had not let go; the fence, not the lock, has to keep them apart`,
            operations: [holder.operation.op, one.operation.op],
          });
        }
        if (holder === undefined || one.released > holder.released) holder = one;
      }
    }
  }
}

function streamsOf(one: Fenced): { readonly streams?: readonly number[] } {
  return one.streams === undefined ? {} : { streams: one.streams };
}

/** The lock key and lease of an acquiring txn. */
function lockOf(txn: EtcdTxn): { readonly key: string; readonly lease: string } | undefined {
  for (const compare of txn.compare) {
    if (compare.target !== "create" || compare.result !== "=" || Number(compare.operand) !== 0) continue;
    for (const request of txn.success) {
      if (request.f === "put" && request.key === compare.key && request.lease !== undefined && request.lease !== "0")
        return { key: compare.key, lease: request.lease };
    }
  }
  return undefined;
}

function requestsOf(input: EtcdInput): readonly EtcdInput[] {
  return input.f === "txn" ? [...input.success, ...input.failure] : [input];
}

/** `TOKEN:anything`. */
function tokenOf(value: string): number | undefined {
  const match = /^(\d+):/.exec(value);
  return match === null ? undefined : Number(match[1]);
}
