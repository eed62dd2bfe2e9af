import type { History, Operation, Stream, StreamMessage } from "../history.ts";
import type {
  EtcdCompare,
  EtcdInput,
  EtcdOutput,
  EtcdRequest,
  WatchEvent,
  WatchInput,
  WatchMessage,
} from "../models/etcd-types.ts";
import { NaiveStore, Refused } from "./naive-store.ts";
import { Rng } from "./random.ts";

export interface RunOptions {
  readonly seed: number;
  readonly clients?: number;
  readonly operations?: number;
  readonly keys?: number;
  /** Share of operations in doubt. */
  readonly doubt?: number;
  readonly leases?: boolean;
  readonly serializable?: boolean;
  readonly compaction?: boolean;
  readonly watchers?: number;
  /** Values repeat: placing operations in doubt gets harder. */
  readonly fewValues?: boolean;
  /** Somebody else writes without being recorded: keys of their own, or ours too. */
  readonly foreign?: "none" | "apart" | "ours";
  /** A put that is acknowledged with the next revision, but never happens. */
  readonly loseWriteAt?: number;
  /** Leases expire after this share of their TTL. */
  readonly leaseShare?: number;
}

interface Pending {
  readonly effect: number;
  readonly input: EtcdInput;
}

/** A run of a true store: every operation takes effect at one moment between its call and its return. Deterministic in the seed. */
export function etcdRun(options: RunOptions): History<EtcdInput, EtcdOutput> & { readonly store: NaiveStore } {
  return new EtcdRun(options).run();
}

const SECOND = 1e9;
/** Operations take up to this long. */
const SLOW_NS = 0.02 * SECOND;

class EtcdRun {
  readonly #options: Required<RunOptions>;
  readonly #rng: Rng;
  readonly #store = new NaiveStore();
  readonly #operations: Operation<EtcdInput, EtcdOutput>[] = [];
  readonly #moments: number[] = [0];
  /** Operations in doubt that take effect late. */
  #late: Pending[] = [];
  readonly #leases = new Map<string, number>();
  #process = 0;
  #value = 0;
  #lease = 100;

  constructor(options: RunOptions) {
    this.#options = {
      clients: 5,
      operations: 200,
      keys: 8,
      doubt: 0.05,
      leases: false,
      serializable: false,
      compaction: false,
      watchers: 0,
      fewValues: false,
      foreign: "none",
      loseWriteAt: -1,
      leaseShare: 1,
      ...options,
    };
    this.#rng = new Rng(options.seed);
  }

  run(): History<EtcdInput, EtcdOutput> & { readonly store: NaiveStore } {
    const rng = this.#rng;
    const clients = Array.from({ length: this.#options.clients }, () => ({
      process: this.#process++,
      free: rng.next() * SLOW_NS,
      effect: 0,
    }));
    for (const client of clients) client.effect = client.free + rng.next() * SLOW_NS;
    for (let op = 0; op < this.#options.operations; op++) {
      const client = clients.reduce((a, b) => (a.effect <= b.effect ? a : b));
      this.#settleUntil(client.effect);
      const returned = client.effect + rng.next() * SLOW_NS;
      this.#perform(op, client.process, client.free, client.effect, returned);
      if (this.#operations.at(-1)?.outcome === "info") client.process = this.#process++;
      client.free = returned + rng.next() * SLOW_NS * 0.2;
      client.effect = client.free + rng.next() * SLOW_NS;
    }
    this.#operations.sort((a, b) => a.invoked - b.invoked);
    return {
      model: "etcd",
      foreignWriters: this.#options.foreign !== "none",
      operations: this.#operations,
      streams: this.#watch(),
      environment: [],
      faults: [],
      store: this.#store,
    };
  }

  /** What happens by itself: late effects, expiries, foreign writers. */
  #settleUntil(time: number): void {
    this.#late.sort((a, b) => a.effect - b.effect);
    while (this.#late[0] !== undefined && this.#late[0].effect <= time)
      this.#apply(this.#late.shift()?.input as EtcdInput, time);
    for (const [id, until] of this.#leases) {
      if (until > time) continue;
      this.#leases.delete(id);
      this.#apply({ f: "lease-revoke", id }, time);
    }
    const { foreign } = this.#options;
    if (foreign !== "none" && this.#rng.chance(0.2))
      this.#apply({ f: "put", key: foreign === "ours" ? this.#key() : "zz", value: `foreign${this.#value++}` }, time);
  }

  #apply(input: EtcdInput, time: number, atRevision?: number): EtcdOutput | undefined {
    try {
      const output = this.#store.apply(input, atRevision);
      while (this.#moments.length < this.#store.revision) this.#moments.push(time);
      return output;
    } catch (error) {
      if (error instanceof Refused) return undefined;
      throw error;
    }
  }

  #perform(op: number, process: number, invoked: number, effect: number, returned: number): void {
    const rng = this.#rng;
    const input = this.#input();
    if (op === this.#options.loseWriteAt) {
      const lost = { f: "put", key: "k0", value: "lost" } as const;
      this.#operations.push({
        op,
        process,
        input: lost,
        invoked,
        returned,
        outcome: "ok",
        output: { f: "put", revision: this.#store.revision + 1 },
      });
      return;
    }
    const common = { op, process, input, invoked };
    if (rng.chance(this.#options.doubt)) {
      const fate = rng.int(3);
      if (fate === 0) this.#apply(input, effect);
      else if (fate === 1) this.#late.push({ effect: effect + rng.next() * SLOW_NS * 20, input });
      this.#operations.push({
        ...common,
        outcome: "info",
        error: { code: "DEADLINE_EXCEEDED", message: "late", definite: false },
      });
      return;
    }
    const lagging =
      input.f === "range" && input.serializable === true ? Math.max(1, this.#store.revision - rng.int(6)) : undefined;
    const output = this.#apply(input, effect, lagging);
    if (output === undefined) {
      this.#operations.push({
        ...common,
        outcome: "fail",
        returned,
        error: { code: "FAILED_PRECONDITION", message: "refused", definite: true },
      });
      return;
    }
    if (output.f === "lease-grant")
      this.#leases.set(output.id, effect + output.ttlSeconds * SECOND * this.#options.leaseShare);
    if (input.f === "lease-keepalive" && output.f === "lease-keepalive" && this.#leases.has(input.id))
      this.#leases.set(input.id, effect + output.ttlSeconds * SECOND * this.#options.leaseShare);
    if (input.f === "lease-revoke") this.#leases.delete(input.id);
    this.#operations.push({ ...common, outcome: "ok", returned, output });
  }

  #key(): string {
    return `k${this.#rng.int(this.#options.keys)}`;
  }

  #newValue(): string {
    return this.#options.fewValues ? `v${this.#rng.int(2)}` : `v${this.#value++}`;
  }

  #input(): EtcdInput {
    const rng = this.#rng;
    const { leases, serializable, compaction } = this.#options;
    if (leases && rng.chance(0.15)) return this.#leaseInput();
    if (compaction && rng.chance(0.02))
      return { f: "compact", revision: Math.max(1, this.#store.revision - rng.int(10)) };
    const roll = rng.next();
    if (roll < 0.3)
      return {
        f: "put",
        key: this.#key(),
        value: this.#newValue(),
        ...(rng.chance(0.3) ? { prevKv: true } : {}),
        ...this.#someLease(),
      };
    if (roll < 0.37) return { f: "delete", key: this.#key(), ...(rng.chance(0.3) ? { prevKv: true } : {}) };
    if (roll < 0.4) return { f: "delete", key: "k1", rangeEnd: "k3", ...(rng.chance(0.3) ? { prevKv: true } : {}) };
    if (roll < 0.6) return this.#txn();
    return this.#range(serializable && rng.chance(0.3));
  }

  #leaseInput(): EtcdInput {
    const rng = this.#rng;
    const ids = [...this.#leases.keys()];
    const roll = rng.next();
    if (ids.length === 0 || roll < 0.3)
      return { f: "lease-grant", id: String(this.#lease++), ttlSeconds: 1 + rng.int(2) };
    if (roll < 0.5) return { f: "lease-revoke", id: rng.pick(ids) };
    return roll < 0.8 ? { f: "lease-keepalive", id: rng.pick(ids) } : { f: "lease-time-to-live", id: rng.pick(ids) };
  }

  #someLease(): { readonly lease?: string } {
    const ids = [...this.#leases.keys()];
    return ids.length > 0 && this.#rng.chance(0.5) ? { lease: this.#rng.pick(ids) } : {};
  }

  #txn(): EtcdRequest {
    const rng = this.#rng;
    const key = this.#key();
    const other = this.#key();
    const now = this.#store.at(this.#store.revision).get(key);
    const compares: readonly EtcdCompare[] = [
      { key, target: "mod", result: "=", operand: (now?.modRevision ?? 0) - (rng.chance(0.2) ? 1 : 0) },
      { key, target: "create", result: "=", operand: 0 },
      { key, target: "version", result: ">", operand: rng.int(3) },
      { key, target: "value", result: "=", operand: now?.value ?? "x" },
      { key, target: "value", result: "!=", operand: "v0" },
      { key, target: "lease", result: "=", operand: now?.lease ?? "0" },
    ];
    const put: EtcdRequest = { f: "put", key, value: this.#newValue(), ...(rng.chance(0.3) ? { prevKv: true } : {}) };
    const success: EtcdRequest[] = [put];
    if (other !== key && rng.chance(0.4))
      success.push(rng.chance(0.5) ? { f: "put", key: other, value: this.#newValue() } : { f: "delete", key: other });
    if (rng.chance(0.3)) success.push({ f: "range", key: "k", rangeEnd: "l" });
    if (rng.chance(0.1))
      success.push({
        f: "txn",
        compare: [{ key, target: "version", result: ">", operand: 1 }],
        success: [{ f: "range", key }],
        failure: [],
      });
    return { f: "txn", compare: [rng.pick(compares)], success, failure: rng.chance(0.5) ? [{ f: "range", key }] : [] };
  }

  #range(serializable: boolean): EtcdRequest {
    const rng = this.#rng;
    const past = rng.chance(0.1) ? { revision: Math.max(1, this.#store.revision - rng.int(8)) } : {};
    const serial = serializable ? { serializable: true } : {};
    if (rng.chance(0.6)) return { f: "range", key: this.#key(), ...past, ...serial };
    const extra = rng.pick([
      {},
      { limit: 2 },
      { keysOnly: true },
      { countOnly: true },
      { sort: { target: "mod", order: "descend" } as const },
      { minModRevision: 5 },
      { limit: 3, sort: { target: "version", order: "ascend" } as const },
    ]);
    return { f: "range", key: "k", rangeEnd: "l", ...past, ...serial, ...extra };
  }

  #watch(): Stream[] {
    const streams: Stream[] = [];
    for (let watcher = 0; watcher < this.#options.watchers; watcher++) this.#follow(streams, watcher);
    return streams;
  }

  /** One watcher: it breaks now and then and resumes from the next revision. */
  #follow(streams: Stream[], watcher: number): void {
    const rng = this.#rng;
    const input: WatchInput = {
      f: "watch",
      ...(watcher % 2 === 0 ? { key: "k", rangeEnd: "l" } : { key: `k${watcher % this.#options.keys}` }),
      ...(rng.chance(0.5) ? { prevKv: true } : {}),
      ...(watcher % 5 === 4 ? { noDelete: true } : {}),
    };
    const end = this.#store.revision;
    let start = 1 + rng.int(Math.max(1, Math.floor(end / 2)));
    let fromNow = rng.chance(0.5);
    let resumes: number | undefined;
    while (start <= end) {
      const stop = Math.min(end, start + 1 + rng.int(end));
      const stream = streams.length;
      const opened = this.#moments[start - 1] as number;
      const messages = this.#messages(input, start, stop, fromNow);
      streams.push({
        stream,
        process: 10_000 + watcher,
        input: {
          ...input,
          ...(fromNow ? {} : { startRevision: start }),
          ...(resumes === undefined ? {} : { resumes }),
        },
        opened,
        messages: messages as unknown as readonly StreamMessage[],
      });
      const last = messages
        .flatMap(({ message }) =>
          message.progress === true ? [message.revision] : message.events.map((event) => event.kv.modRevision),
        )
        .at(-1);
      start = Math.max((last ?? start - 1) + 1, fromNow && last === undefined ? end + 1 : start);
      if (last === undefined && stop < end) return;
      fromNow = false;
      resumes = stream;
      if (stop === end) return;
    }
  }

  #messages(
    input: WatchInput,
    start: number,
    stop: number,
    fromNow: boolean,
  ): { readonly time: number; readonly message: WatchMessage }[] {
    const rng = this.#rng;
    const created = fromNow ? start - 1 : Math.max(start - 1, this.#store.revision);
    const messages: { time: number; message: WatchMessage }[] = [
      {
        time: this.#moments[Math.max(0, start - 1)] as number,
        message: { revision: Math.max(1, created), created: true, events: [] },
      },
    ];
    if (fromNow && start === 1) return messages;
    let batch: WatchEvent[] = [];
    for (let revision = start; revision <= stop; revision++) {
      for (const event of this.#store.events[revision - 1] ?? []) {
        const { key } = event.kv;
        const inside = input.rangeEnd === undefined ? key === input.key : key >= input.key && key < input.rangeEnd;
        if (!inside || (event.type === "delete" && input.noDelete === true)) continue;
        const { prevKv, ...bare } = event;
        batch.push(input.prevKv === true && prevKv !== undefined ? { ...bare, prevKv } : bare);
      }
      const time = (this.#moments[revision - 1] as number) + rng.next() * SLOW_NS;
      if (batch.length > 0 && (rng.chance(0.8) || revision === stop)) {
        messages.push({ time, message: { revision, events: batch } });
        batch = [];
      } else if (batch.length === 0 && rng.chance(0.05)) {
        messages.push({ time, message: { revision, progress: true, events: [] } });
      }
    }
    return messages;
  }
}
