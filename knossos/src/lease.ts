import { MalformedHistory } from "./fold.ts";
import { inRange } from "./etcd/order.ts";
import type { EtcdOperation } from "./etcd/requests.ts";
import { executed, isReadOnly, isRequest, isSerializable, isWhole, possible } from "./etcd/requests.ts";
import { validateEtcd } from "./etcd/validate.ts";
import type { History, Nanoseconds } from "./history.ts";
import type { EtcdAnswer, EtcdInput, EtcdKv, EtcdOutput } from "./models/etcd-types.ts";
import { NANOSECONDS_PER_SECOND, seconds } from "./time.ts";
import type { Finding, Verdict } from "./verdict.ts";
import { watchesOf } from "./watch/sightings.ts";

export interface LeaseOptions {
  readonly electionTimeoutMs: number;
  /** When a majority was up, [from, to] in nanoseconds. Absent: whenever no fault was under way. */
  readonly upWindows?: readonly (readonly [Nanoseconds, Nanoseconds])[];
}

/** On top of TTL and two election timeouts: what expiring takes. */
const SLACK_NS = 2 * NANOSECONDS_PER_SECOND;

interface Lease {
  readonly id: string;
  readonly grant: EtcdOperation;
  /** Alive at least until then: call of the last renewal that worked + the TTL in its answer. */
  aliveUntil: Nanoseconds;
  aliveBy: EtcdOperation;
  /** When the last renewal that worked had certainly happened; infinite if one is in doubt. */
  renewedBy: Nanoseconds;
  ttlSeconds: number;
  /** The earliest call of a revoke that may have worked. */
  revokedFrom: Nanoseconds;
}

/** Evidence that a lease was gone (or there) at some moment within [from, to]. */
interface Evidence {
  readonly lease: Lease;
  readonly from: Nanoseconds;
  readonly to: Nanoseconds;
  readonly text: string;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
}

/**
 * A lease lives until the call of its last acknowledged renewal + the TTL in that answer, and is gone within
 * TTL + 2 election timeouts + 2 s after the last renewal, heal or leader change, judged while a majority is up.
 * Grants, keepalives, revokes, time-to-live answers, refused puts, and the keys attached are the evidence.
 */
export function checkLease(history: History, options: LeaseOptions): Verdict {
  if (!(options.electionTimeoutMs > 0))
    throw new MalformedHistory(
      `election timeout ${options.electionTimeoutMs} ms; a positive number is needed to judge leases`,
    );
  const check = new LeaseCheck(validateEtcd(history), options);
  return check.verdict();
}

class LeaseCheck {
  readonly #history: History<EtcdInput, EtcdOutput>;
  readonly #options: LeaseOptions;
  readonly #leases = new Map<string, Lease>();
  /** Ids granted more than once: which lease an answer is about cannot be told. */
  readonly #ambiguous = new Set<string>();
  readonly #findings: Finding[] = [];
  #gone = 0;
  #there = 0;

  constructor(history: History<EtcdInput, EtcdOutput>, options: LeaseOptions) {
    this.#history = history;
    this.#options = options;
  }

  verdict(): Verdict {
    this.#collectLeases();
    for (const evidence of this.#evidenceOfDeath()) this.#judgeGone(evidence);
    for (const evidence of this.#evidenceOfLife()) this.#judgeThere(evidence);
    const stats = { leases: this.#leases.size, judgedGone: this.#gone, judgedAlive: this.#there };
    if (this.#findings.length > 0) return { valid: false, checker: "lease", findings: this.#findings, stats };
    if (this.#leases.size === 0)
      return {
        valid: "unknown",
        checker: "lease",
        findings: [],
        why: "no lease was granted, so there is nothing to judge",
        stats,
      };
    if (this.#gone + this.#there === 0)
      return {
        valid: "unknown",
        checker: "lease",
        findings: [],
        why: "no lease was seen alive or gone after its grant, so there is nothing to judge",
        stats,
      };
    return { valid: true, checker: "lease", findings: [], stats };
  }

  #collectLeases(): void {
    for (const operation of this.#history.operations) {
      const { input, output, outcome, invoked } = operation;
      if (outcome === "ok" && output?.f === "lease-grant") {
        if (this.#leases.has(output.id)) this.#ambiguous.add(output.id);
        this.#leases.set(output.id, {
          id: output.id,
          grant: operation,
          aliveUntil: invoked + output.ttlSeconds * NANOSECONDS_PER_SECOND,
          aliveBy: operation,
          renewedBy: operation.returned ?? invoked,
          ttlSeconds: output.ttlSeconds,
          revokedFrom: Number.POSITIVE_INFINITY,
        });
      } else if (outcome === "info" && input.f === "lease-grant" && input.id !== "0") {
        this.#ambiguous.add(input.id);
      }
    }
    for (const operation of this.#history.operations) this.#renewOrRevoke(operation);
  }

  #renewOrRevoke(operation: EtcdOperation): void {
    const { input, output, outcome, invoked } = operation;
    if (outcome === "fail" || (input.f !== "lease-keepalive" && input.f !== "lease-revoke")) return;
    const lease = this.#leases.get(input.id);
    if (lease === undefined) return;
    if (input.f === "lease-revoke") {
      lease.revokedFrom = Math.min(lease.revokedFrom, invoked);
    } else if (outcome === "info") {
      // In doubt: it may renew at any later time.
      lease.renewedBy = Number.POSITIVE_INFINITY;
    } else if (output?.f === "lease-keepalive" && output.ttlSeconds > 0) {
      lease.renewedBy = Math.max(lease.renewedBy, operation.returned ?? invoked);
      lease.ttlSeconds = Math.max(lease.ttlSeconds, output.ttlSeconds);
      const until = invoked + output.ttlSeconds * NANOSECONDS_PER_SECOND;
      if (until <= lease.aliveUntil) return;
      lease.aliveUntil = until;
      lease.aliveBy = operation;
    }
  }

  #judgeGone(evidence: Evidence): void {
    const { lease } = evidence;
    if (this.#ambiguous.has(lease.id) || lease.revokedFrom <= evidence.to) return;
    this.#gone++;
    if (evidence.to >= lease.aliveUntil) return;
    const renewed = lease.aliveBy.input.f === "lease-grant" ? "granted" : "kept alive";
    this.#add(
      "lease-expired-early",
      evidence,
      `${evidence.text} at ${seconds(evidence.to)}, but lease ${lease.id} was ${renewed} by operation ${lease.aliveBy.op} and lives until ${seconds(lease.aliveUntil)} at least`,
      [lease.aliveBy.op],
    );
  }

  #judgeThere(evidence: Evidence): void {
    const { lease } = evidence;
    if (this.#ambiguous.has(lease.id) || lease.renewedBy === Number.POSITIVE_INFINITY) return;
    if (!this.#majorityUp(evidence.from)) return;
    const since = Math.max(lease.renewedBy, this.#lastDisturbance(evidence.from));
    const deadline =
      since + lease.ttlSeconds * NANOSECONDS_PER_SECOND + 2 * this.#options.electionTimeoutMs * 1e6 + SLACK_NS;
    this.#there++;
    if (evidence.from <= deadline) return;
    this.#add(
      "lease-outlived",
      evidence,
      `${evidence.text} at ${seconds(evidence.from)}, but lease ${lease.id} (TTL ${lease.ttlSeconds} s, last renewed by ${seconds(lease.renewedBy)}) had to be gone by ${seconds(deadline)}`,
      [lease.grant.op],
    );
  }

  #add(kind: string, evidence: Evidence, message: string, more: readonly number[]): void {
    this.#findings.push({
      kind,
      message,
      operations: [...new Set([...more, ...evidence.operations])],
      ...(evidence.streams === undefined ? {} : { streams: evidence.streams }),
    });
  }

  #majorityUp(at: Nanoseconds): boolean {
    const { upWindows } = this.#options;
    if (upWindows !== undefined) return upWindows.some(([from, to]) => from <= at && at <= to);
    const active = new Set<number>();
    for (const fault of this.#history.faults) {
      if (fault.time > at) continue;
      if (fault.type === "fault") active.add(fault.id);
      else active.delete(fault.id);
    }
    return active.size === 0;
  }

  /** The last fault, heal or leader change up to then: a new leader gives every lease its full TTL anew. */
  #lastDisturbance(at: Nanoseconds): Nanoseconds {
    let last = Number.NEGATIVE_INFINITY;
    for (const fault of this.#history.faults) if (fault.time <= at) last = Math.max(last, fault.time);
    for (const env of this.#history.environment)
      if (env.what === "leader-change" && env.time <= at) last = Math.max(last, env.time);
    // In a window of a majority being up, its beginning is a heal.
    for (const [from] of this.#options.upWindows ?? [])
      if (from <= at && Number.isFinite(from) && from > 0) last = Math.max(last, from);
    return last;
  }

  *#evidenceOfDeath(): Generator<Evidence> {
    for (const operation of this.#history.operations) {
      const { input, output, invoked, returned, outcome } = operation;
      if (returned === undefined) continue;
      const between = { from: invoked, to: returned, operations: [operation.op] };
      if (input.f === "lease-time-to-live" || input.f === "lease-keepalive") {
        const lease = this.#leases.get(input.id);
        const told =
          output !== undefined && (output.f === "lease-time-to-live" || output.f === "lease-keepalive")
            ? output.ttlSeconds
            : undefined;
        const gone =
          outcome === "ok"
            ? told !== undefined && (input.f === "lease-keepalive" ? told <= 0 : told < 0)
            : saysLeaseNotFound(operation);
        if (lease !== undefined && gone)
          yield { ...between, lease, text: `${input.f} answered that lease ${input.id} is gone` };
      } else if (isRequest(input) && saysLeaseNotFound(operation)) {
        for (const request of possible(input)) {
          const lease =
            request.f === "put" && request.lease !== undefined ? this.#leases.get(request.lease) : undefined;
          if (lease !== undefined && (lease.grant.returned ?? Number.POSITIVE_INFINITY) < invoked)
            yield { ...between, lease, text: `a put with lease ${lease.id} was refused because it is gone` };
        }
      }
    }
    yield* new AttachedKeys(this.#history, this.#leases).vanished();
  }

  *#evidenceOfLife(): Generator<Evidence> {
    for (const operation of this.#history.operations) {
      const { input, output, invoked, returned, outcome } = operation;
      if (outcome !== "ok" || returned === undefined || output === undefined) continue;
      const between = { from: invoked, to: returned, operations: [operation.op] };
      if (input.f === "lease-time-to-live" && output.f === "lease-time-to-live") {
        const lease = this.#leases.get(input.id);
        if (lease !== undefined && output.ttlSeconds > 0)
          yield { ...between, lease, text: `lease ${input.id} was answered to have ${output.ttlSeconds} s left` };
      } else if (isRequest(input) && !isSerializable(input)) {
        for (const [request, answer] of executed(input, output as EtcdAnswer)) {
          if (request.f === "put" && request.lease !== undefined) {
            const lease = this.#leases.get(request.lease);
            if (lease !== undefined) yield { ...between, lease, text: `a put with lease ${lease.id} worked` };
          }
          if (request.f !== "range" || answer.f !== "range" || (request.revision ?? 0) > 0) continue;
          for (const kv of answer.kvs) {
            const lease = kv.lease === undefined ? undefined : this.#leases.get(kv.lease);
            if (lease !== undefined)
              yield { ...between, lease, text: `${kv.key}, attached to lease ${lease.id}, was still there` };
          }
        }
      }
    }
  }
}

function saysLeaseNotFound(operation: EtcdOperation): boolean {
  return (
    operation.outcome === "fail" && operation.error !== undefined && /lease not found/i.test(operation.error.message)
  );
}

/** Finds attached keys that went away without any client having touched them: only their lease can have taken them. */
class AttachedKeys {
  readonly #history: History<EtcdInput, EtcdOutput>;
  /** Acknowledged attachments by key, by revision. */
  readonly #attached = new Map<
    string,
    { readonly revision: number; readonly lease: Lease; readonly operation: EtcdOperation }[]
  >();
  /** Writes that may touch an attached key. */
  readonly #touching = new Map<string, EtcdOperation[]>();

  constructor(history: History<EtcdInput, EtcdOutput>, leases: ReadonlyMap<string, Lease>) {
    this.#history = history;
    const writes: EtcdOperation[] = [];
    for (const operation of history.operations) {
      const { input, output, outcome } = operation;
      if (outcome === "fail" || !isRequest(input) || isReadOnly(input)) continue;
      writes.push(operation);
      if (outcome !== "ok" || output === undefined) continue;
      for (const [request] of executed(input, output as EtcdAnswer)) {
        const lease = request.f === "put" && request.lease !== undefined ? leases.get(request.lease) : undefined;
        if (lease === undefined) continue;
        const list = this.#attached.get(request.key) ?? [];
        list.push({ revision: output.revision ?? 0, lease, operation });
        this.#attached.set(request.key, list);
      }
    }
    for (const list of this.#attached.values()) list.sort((a, b) => b.revision - a.revision);
    for (const key of this.#attached.keys())
      this.#touching.set(
        key,
        writes.filter((write) => mayTouch(write, key)),
      );
  }

  *vanished(): Generator<Evidence> {
    if (this.#attached.size === 0) return;
    for (const operation of this.#history.operations) {
      const { input, output, outcome, invoked, returned } = operation;
      if (
        outcome !== "ok" ||
        returned === undefined ||
        input.f !== "range" ||
        output?.f !== "range" ||
        output.revision === undefined
      )
        continue;
      if ((input.revision ?? 0) > 0 || !isWhole(input, output)) continue;
      const present = new Set(output.kvs.map((kv: EtcdKv) => kv.key));
      for (const key of this.#attached.keys()) {
        if (present.has(key) || !inRange(key, input.key, input.rangeEnd)) continue;
        const taken = this.#takenFrom(key, output.revision, returned);
        if (taken !== undefined)
          yield {
            lease: taken.lease,
            from: invoked,
            to: returned,
            text: `${key}, attached to lease ${taken.lease.id} at revision ${taken.revision}, was gone`,
            operations: [taken.operation.op, operation.op],
          };
      }
    }
    yield* this.#deletionsSeen();
  }

  *#deletionsSeen(): Generator<Evidence> {
    for (const watch of watchesOf(this.#history.streams)) {
      for (const { time, message } of watch.messages) {
        for (const event of message.events) {
          if (event.type !== "delete") continue;
          const { key, modRevision } = event.kv;
          const taken = this.#takenFrom(key, modRevision, time);
          if (taken !== undefined)
            yield {
              lease: taken.lease,
              from: 0,
              to: time,
              text: `the deletion of ${key}, attached to lease ${taken.lease.id}, at revision ${modRevision} was watched`,
              operations: [taken.operation.op],
              streams: [watch.stream],
            };
        }
      }
    }
  }

  /** The attachment of the key that held at this revision, if nobody but its lease can have ended it by then. */
  #takenFrom(
    key: string,
    revision: number,
    at: Nanoseconds,
  ): { readonly revision: number; readonly lease: Lease; readonly operation: EtcdOperation } | undefined {
    const attachment = this.#attached.get(key)?.find((one) => one.revision < revision);
    if (attachment === undefined) return undefined;
    const touched = this.#touching.get(key)?.some((write) => {
      if (write === attachment.operation || write.invoked > at) return false;
      const made = write.outcome === "ok" ? write.output?.revision : undefined;
      return made === undefined || (made > attachment.revision && made <= revision);
    });
    return touched === true ? undefined : attachment;
  }
}

function mayTouch(operation: EtcdOperation, key: string): boolean {
  const { input } = operation;
  if (!isRequest(input)) return false;
  for (const request of possible(input)) {
    if (
      request.f === "put" ? request.key === key : request.f === "delete" && inRange(key, request.key, request.rangeEnd)
    )
      return true;
  }
  return false;
}
