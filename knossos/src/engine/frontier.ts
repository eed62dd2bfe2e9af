import { mix } from "../hashing.ts";
import type { Model } from "../model.ts";
import type { Call, DoubtClasses, Found, Search, Stuck, Used } from "./calls.ts";
import { dominates, doubtClasses, use, usedOf } from "./calls.ts";

/** The order so far, youngest first. */
interface Path<I, O> {
  readonly call: Call<I, O>;
  readonly before: Path<I, O> | undefined;
  readonly length: number;
}

/** One way in which everything that returned so far may have happened. */
interface Configuration<S, I, O> {
  readonly state: S;
  /** Acknowledged calls still open that took effect already; ascending by number. */
  readonly done: readonly number[];
  readonly used: Used;
  readonly path: Path<I, O> | undefined;
}

/** More configurations than this at one return, and the frontier gives up to the depth-first search. */
const MOST_CONFIGURATIONS = 100_000;

/**
 * Just-in-time linearization (Lowe 2017; Knossos' "linear"): walks the history once and keeps every configuration it may be in.
 * Calls take effect only when some return forces it. Cost: length x configurations x open calls; it keeps no past.
 */
export class Frontier<S, I, O> implements Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #calls: readonly Call<I, O>[];
  readonly #events: readonly { readonly call: number; readonly returns: boolean }[];
  readonly #doubt: DoubtClasses<I, O>;
  /** Class -> how many of it were invoked by now. */
  readonly #invoked: number[];
  readonly #open = new Set<number>();
  #frontier: Configuration<S, I, O>[];
  #event = 0;
  /** Within one return: what is still to be expanded, and what was seen. */
  #pending: Configuration<S, I, O>[] = [];
  #expanding = false;
  #reached: Table<S, I, O>;
  #seen: Table<S, I, O>;
  #steps = 0;
  #exhausted = false;
  #longest: Configuration<S, I, O>;

  constructor(model: Model<S, I, O>, initial: unknown, calls: readonly Call<I, O>[]) {
    this.#model = model;
    this.#calls = calls;
    this.#doubt = doubtClasses(calls);
    this.#invoked = this.#doubt.classes.map(() => 0);
    this.#events = eventsOf(calls);
    this.#longest = { state: model.init(initial), done: [], used: [], path: undefined };
    this.#frontier = [this.#longest];
    this.#reached = new Table(model);
    this.#seen = new Table(model);
  }

  get steps(): number {
    return this.#steps;
  }

  get exhausted(): boolean {
    return this.#exhausted;
  }

  advance(steps: number): Found<I, O> | undefined {
    const until = this.#steps + steps;
    while (this.#steps < until && !this.#exhausted) {
      const event = this.#events[this.#event];
      if (event === undefined)
        return { valid: true, order: pathOf((this.#frontier[0] as Configuration<S, I, O>).path) };
      this.#steps++;
      if (!event.returns) this.#invoke(event.call);
      else if (!this.#return(event.call)) return { valid: false };
    }
    return undefined;
  }

  #invoke(index: number): void {
    const call = this.#calls[index] as Call<I, O>;
    const kind = this.#doubt.classOf.get(call);
    if (kind === undefined) this.#open.add(index);
    else this.#invoked[kind] = (this.#invoked[kind] as number) + 1;
    this.#event++;
  }

  /** One expansion, or the end of the return if nothing is left to expand. False: no configuration survives. */
  #return(index: number): boolean {
    if (!this.#expanding) {
      this.#expanding = true;
      this.#reached = new Table(this.#model);
      this.#seen = new Table(this.#model);
      this.#pending = [];
      for (const configuration of this.#frontier) this.#offer(this.#absorb(configuration), index);
    }
    const configuration = this.#pending.pop();
    if (configuration !== undefined) {
      this.#expand(configuration, index);
      if (this.#seen.size + this.#reached.size > MOST_CONFIGURATIONS) this.#exhausted = true;
      return true;
    }
    this.#expanding = false;
    if (this.#reached.size === 0) return false;
    this.#open.delete(index);
    this.#frontier = this.#reached.all().map((one) => ({ ...one, done: one.done.filter((done) => done !== index) }));
    this.#event++;
    return true;
  }

  #offer(configuration: Configuration<S, I, O>, index: number): void {
    if ((configuration.path?.length ?? 0) > (this.#longest.path?.length ?? 0)) this.#longest = configuration;
    if (configuration.done.includes(index)) this.#reached.add(configuration);
    else if (this.#seen.add(configuration)) this.#pending.push(configuration);
  }

  /**
   * Open reads that are right in this state take effect at once. Sound for reads alone: a read leaves every state as it is, so an order
   * in which it comes later stays an order when it is moved here. (A write of the value that is there already is not such a call:
   * later it may be needed to overwrite another.)
   */
  #absorb(configuration: Configuration<S, I, O>): Configuration<S, I, O> {
    let { done, path } = configuration;
    for (const index of this.#open) {
      const call = this.#calls[index] as Call<I, O>;
      if (
        !call.readOnly ||
        done.includes(index) ||
        this.#model.step(configuration.state, call.input, call.output).length === 0
      )
        continue;
      done = insert(done, index);
      path = { call, before: path, length: (path?.length ?? 0) + 1 };
    }
    return done === configuration.done ? configuration : { ...configuration, done, path };
  }

  #expand(configuration: Configuration<S, I, O>, index: number): void {
    const length = (configuration.path?.length ?? 0) + 1;
    for (const open of this.#open) {
      const call = this.#calls[open] as Call<I, O>;
      if (call.readOnly || configuration.done.includes(open)) continue;
      this.#steps++;
      for (const state of this.#model.step(configuration.state, call.input, call.output)) {
        this.#offer(
          this.#absorb({
            state,
            done: insert(configuration.done, open),
            used: configuration.used,
            path: { call, before: configuration.path, length },
          }),
          index,
        );
      }
    }
    this.#doubt.classes.forEach((calls, kind) => {
      const next = usedOf(configuration.used, kind);
      if (next >= (this.#invoked[kind] as number)) return;
      const call = calls[next] as Call<I, O>;
      this.#steps++;
      for (const state of this.#model.step(configuration.state, call.input, undefined)) {
        // It never has to take effect, so where it changes nothing it may as well not.
        if (this.#model.equal(state, configuration.state)) continue;
        this.#offer(
          this.#absorb({
            state,
            done: configuration.done,
            used: use(configuration.used, kind),
            path: { call, before: configuration.path, length },
          }),
          index,
        );
      }
    });
  }

  stuck(): Stuck<S, I, O> {
    const done = new Set(this.#longest.done);
    const next = [...this.#open].filter((index) => !done.has(index)).map((index) => this.#calls[index] as Call<I, O>);
    return { prefix: pathOf(this.#longest.path), state: this.#longest.state, next };
  }
}

/** Configurations without those that another one dominates. */
class Table<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #buckets = new Map<number, Configuration<S, I, O>[]>();
  size = 0;

  constructor(model: Model<S, I, O>) {
    this.#model = model;
  }

  /** False: it, or one at least as good, is there already. */
  add(configuration: Configuration<S, I, O>): boolean {
    let hash = this.#model.hash(configuration.state);
    for (const done of configuration.done) hash = mix(hash, done);
    const bucket = this.#buckets.get(hash);
    if (bucket === undefined) {
      this.#buckets.set(hash, [configuration]);
      this.size++;
      return true;
    }
    for (let i = 0; i < bucket.length; i++) {
      const other = bucket[i] as Configuration<S, I, O>;
      if (!sameNumbers(other.done, configuration.done) || !this.#model.equal(other.state, configuration.state))
        continue;
      if (dominates(other.used, configuration.used)) return false;
      if (dominates(configuration.used, other.used)) {
        bucket[i] = configuration;
        return true;
      }
    }
    bucket.push(configuration);
    this.size++;
    return true;
  }

  all(): Configuration<S, I, O>[] {
    return [...this.#buckets.values()].flat();
  }
}

function eventsOf<I, O>(calls: readonly Call<I, O>[]): readonly { readonly call: number; readonly returns: boolean }[] {
  const events = calls.map((call, index) => ({ call: index, returns: false, time: call.invoked }));
  calls.forEach((call, index) => {
    if (call.returned !== Number.POSITIVE_INFINITY) events.push({ call: index, returns: true, time: call.returned });
  });
  // At the same moment invocations come first: such calls overlap.
  return events.sort((a, b) => a.time - b.time || Number(a.returns) - Number(b.returns));
}

function pathOf<I, O>(path: Path<I, O> | undefined): Call<I, O>[] {
  const calls: Call<I, O>[] = [];
  for (let at = path; at !== undefined; at = at.before) calls.push(at.call);
  return calls.reverse();
}

function insert(sorted: readonly number[], value: number): readonly number[] {
  const next = [...sorted, value];
  for (let i = next.length - 1; i > 0 && (next[i - 1] as number) > value; i--) {
    next[i] = next[i - 1] as number;
    next[i - 1] = value;
  }
  return next;
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
