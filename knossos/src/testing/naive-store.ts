import type {
  EtcdAnswer,
  EtcdCompare,
  EtcdInput,
  EtcdKv,
  EtcdOutput,
  EtcdRange,
  EtcdRequest,
  EtcdTxn,
  WatchEvent,
} from "../models/etcd-types.ts";

/** What the store says no to. */
export class Refused extends Error {}

/**
 * An MVCC store written as plainly as can be, one copied map per revision, to make true histories with. It shares nothing with the
 * checker, so that a misreading of etcd in one of them shows.
 */
export class NaiveStore {
  /** index = revision - 1 */
  readonly snapshots: Map<string, EtcdKv>[] = [new Map()];
  readonly leases = new Set<string>();
  readonly events: WatchEvent[][] = [[]];
  compacted = -1;

  get revision(): number {
    return this.snapshots.length;
  }

  at(revision: number): Map<string, EtcdKv> {
    return this.snapshots[revision - 1] as Map<string, EtcdKv>;
  }

  apply(input: EtcdInput, atRevision?: number): EtcdOutput {
    switch (input.f) {
      case "lease-grant":
        if (this.leases.has(input.id)) throw new Refused("lease exists");
        this.leases.add(input.id);
        return { f: "lease-grant", revision: this.revision, id: input.id, ttlSeconds: input.ttlSeconds };
      case "lease-revoke":
        return this.#revoke(input.id);
      case "lease-keepalive":
        return { f: "lease-keepalive", revision: this.revision, ttlSeconds: this.leases.has(input.id) ? 5 : 0 };
      case "lease-time-to-live":
        return {
          f: "lease-time-to-live",
          revision: this.revision,
          ttlSeconds: this.leases.has(input.id) ? 5 : -1,
          grantedSeconds: 5,
        };
      case "compact":
        if (input.revision > this.revision || input.revision <= this.compacted) throw new Refused("compact");
        this.compacted = input.revision;
        return { f: "compact", revision: this.revision };
      default: {
        const base = atRevision ?? this.revision;
        const work = new Map(this.at(base));
        const events: WatchEvent[] = [];
        const answer = this.#request(input, base, work, events);
        if (events.length > 0) this.#push(work, events);
        return { ...answer, revision: base + (events.length > 0 ? 1 : 0) };
      }
    }
  }

  #push(work: Map<string, EtcdKv>, events: WatchEvent[]): void {
    this.snapshots.push(work);
    this.events.push(events);
  }

  #revoke(id: string): EtcdOutput {
    if (!this.leases.delete(id)) throw new Refused("lease not found");
    const work = new Map(this.at(this.revision));
    const events: WatchEvent[] = [];
    for (const kv of [...work.values()].filter((one) => one.lease === id)) remove(kv, work, events, this.revision + 1);
    if (events.length > 0) this.#push(work, events);
    return { f: "lease-revoke", revision: this.revision };
  }

  #request(
    request: EtcdRequest,
    base: number,
    work: Map<string, EtcdKv>,
    events: WatchEvent[],
    path?: boolean[],
  ): EtcdAnswer {
    const next = base + 1;
    if (request.f === "put") {
      const before = work.get(request.key);
      if ((request.ignoreValue || request.ignoreLease) && before === undefined) throw new Refused("key not found");
      const lease = request.ignoreLease ? (before?.lease ?? "0") : (request.lease ?? "0");
      if (lease !== "0" && !this.leases.has(lease)) throw new Refused("lease not found");
      const kv: EtcdKv = {
        key: request.key,
        value: request.ignoreValue ? (before?.value ?? "") : request.value,
        createRevision: before?.createRevision ?? next,
        modRevision: next,
        version: (before?.version ?? 0) + 1,
        ...(lease === "0" ? {} : { lease }),
      };
      work.set(request.key, kv);
      events.push({ type: "put", kv, ...(before === undefined ? {} : { prevKv: before }) });
      return { f: "put", ...(request.prevKv && before !== undefined ? { prevKv: before } : {}) };
    }
    if (request.f === "delete") {
      const gone = select(work, request.key, request.rangeEnd);
      for (const kv of gone) remove(kv, work, events, next);
      return { f: "delete", deleted: gone.length, ...(request.prevKv ? { prevKvs: gone } : {}) };
    }
    if (request.f === "range") return this.#range(request, base, work, events.length > 0);
    const taken = path ?? decide(request, this.at(base));
    const succeeded = taken.shift() as boolean;
    const answers: EtcdAnswer[] = [];
    for (const part of succeeded ? request.success : request.failure)
      answers.push(this.#request(part, base, work, events, part.f === "txn" ? taken : undefined));
    return { f: "txn", succeeded, answers };
  }

  #range(request: EtcdRange, base: number, work: Map<string, EtcdKv>, changed: boolean): EtcdAnswer {
    const revision = request.revision ?? 0;
    if (revision > base + (changed ? 1 : 0)) throw new Refused("future revision");
    if (revision > 0 && revision < this.compacted) throw new Refused("compacted");
    const all = select(revision > 0 && revision <= base ? this.at(revision) : work, request.key, request.rangeEnd);
    const keep = (value: number, least = 0, most = 0): boolean =>
      (least === 0 || value >= least) && (most === 0 || value <= most);
    let kvs = all.filter(
      (kv) =>
        keep(kv.modRevision, request.minModRevision, request.maxModRevision) &&
        keep(kv.createRevision, request.minCreateRevision, request.maxCreateRevision),
    );
    const { sort } = request;
    if (sort !== undefined) {
      const field = {
        key: "key",
        version: "version",
        create: "createRevision",
        mod: "modRevision",
        value: "value",
      } as const;
      const name = field[sort.target];
      const sign = sort.order === "descend" ? -1 : 1;
      kvs.sort((a, b) => sign * (a[name] < b[name] ? -1 : a[name] > b[name] ? 1 : 0));
    }
    const limit = request.limit ?? 0;
    const more = !request.countOnly && limit > 0 && kvs.length > limit;
    if (more) kvs = kvs.slice(0, limit);
    if (request.countOnly) kvs = [];
    if (request.keysOnly) kvs = kvs.map((kv) => ({ ...kv, value: "" }));
    return { f: "range", kvs, count: all.length, more };
  }
}

function remove(kv: EtcdKv, work: Map<string, EtcdKv>, events: WatchEvent[], revision: number): void {
  work.delete(kv.key);
  events.push({
    type: "delete",
    kv: { key: kv.key, value: "", createRevision: 0, modRevision: revision, version: 0 },
    prevKv: kv,
  });
}

/** Keys here are ASCII, so plain comparison is byte order. */
function select(kvs: Map<string, EtcdKv>, key: string, rangeEnd: string | undefined): EtcdKv[] {
  const found = [...kvs.values()].filter((kv) =>
    rangeEnd ? kv.key >= key && (rangeEnd === "\0" || kv.key < rangeEnd) : kv.key === key,
  );
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Which branch each txn takes, in the order in which they are met; all compares see the state before. */
function decide(txn: EtcdTxn, before: Map<string, EtcdKv>): boolean[] {
  const succeeded = txn.compare.every((compare) => holds(compare, before));
  return [
    succeeded,
    ...(succeeded ? txn.success : txn.failure).flatMap((part) => (part.f === "txn" ? decide(part, before) : [])),
  ];
}

function holds(compare: EtcdCompare, before: Map<string, EtcdKv>): boolean {
  const kvs = select(before, compare.key, compare.rangeEnd);
  if (kvs.length === 0 && compare.target === "value") return false;
  const nothing: EtcdKv = { key: compare.key, value: "", createRevision: 0, modRevision: 0, version: 0 };
  return (kvs.length === 0 ? [nothing] : kvs).every((kv) => {
    const found = {
      version: kv.version,
      create: kv.createRevision,
      mod: kv.modRevision,
      value: kv.value,
      lease: Number(kv.lease ?? "0"),
    }[compare.target];
    const wanted = compare.target === "value" ? String(compare.operand) : Number(compare.operand);
    if (compare.result === "=") return found === wanted;
    if (compare.result === "!=") return found !== wanted;
    return compare.result === ">" ? found > wanted : found < wanted;
  });
}
