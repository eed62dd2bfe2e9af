import { mix } from "../hashing.ts";
import type { Model } from "../model.ts";
import type { Call, DoubtClasses, Found, Search, Stuck, Used } from "./calls.ts";
import { dominates, doubtClasses, use, usedOf } from "./calls.ts";

/** What was undone to get here, and where to go on if it was wrong. */
interface Step<S> {
  readonly event: number;
  readonly nextAlternative: number;
  readonly stateBefore: S;
  readonly usedBefore: Used;
  /** Taking it loses nothing, so there is no alternative to come back for. */
  readonly forced: boolean;
}

/** A visited (acknowledged calls done, state), with the open calls used. */
interface Visited<S> {
  readonly low: number;
  readonly words: Uint32Array;
  readonly state: S;
  readonly used: Used;
}

/** Memory is bounded: past this the search goes on without remembering more. */
const MOST_VISITED = 2_000_000;

/**
 * Wing & Gong's search (1993) with Lowe's memory of visited (linearized set, state) pairs (2017), as in Porcupine: take any call that
 * no return precedes, go on, take it back if that leads nowhere. Exponential in the worst case, quick on most histories.
 */
export class DepthFirst<S, I, O> implements Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #calls: readonly Call<I, O>[];
  readonly #doubt: DoubtClasses<I, O>;
  /** Events by time; an event is the invocation (or the return) of a call. */
  readonly #eventCall: readonly number[];
  readonly #isReturn: readonly boolean[];
  readonly #returnOf: Int32Array;
  /** A doubly linked list over events, with a head before them. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #head: number;
  /** Calls that must take effect, numbered by invocation; those done, as bits. */
  readonly #rank: Int32Array;
  readonly #bits: Uint32Array;
  readonly #mustCount: number;
  #low = 0;
  #high = -1;
  #setHash = 0;
  #done = 0;
  readonly #visited = new Map<number, Visited<S>[]>();
  #visitedCount = 0;
  readonly #stack: Step<S>[] = [];
  #state: S;
  #used: Used = [];
  #cursor: number;
  #alternative = 0;
  #steps = 0;
  #best: Stuck<S, I, O>;
  #bestDone = -1;

  constructor(model: Model<S, I, O>, initial: unknown, calls: readonly Call<I, O>[]) {
    this.#model = model;
    this.#calls = calls;
    this.#doubt = doubtClasses(calls);
    const events = calls.flatMap((call, index) => [
      { call: index, returns: false, time: call.invoked },
      ...(call.returned === Number.POSITIVE_INFINITY ? [] : [{ call: index, returns: true, time: call.returned }]),
    ]);
    events.sort((a, b) => a.time - b.time || Number(a.returns) - Number(b.returns));
    this.#eventCall = events.map((event) => event.call);
    this.#isReturn = events.map((event) => event.returns);
    this.#returnOf = new Int32Array(calls.length).fill(-1);
    events.forEach((event, index) => {
      if (event.returns) this.#returnOf[event.call] = index;
    });
    this.#head = events.length;
    this.#next = new Int32Array(events.length + 1);
    this.#previous = new Int32Array(events.length + 1);
    for (let i = 0; i < events.length; i++) {
      this.#next[i] = i + 1 < events.length ? i + 1 : -1;
      this.#previous[i] = i === 0 ? this.#head : i - 1;
    }
    this.#next[this.#head] = events.length > 0 ? 0 : -1;
    this.#rank = new Int32Array(calls.length).fill(-1);
    let rank = 0;
    calls.forEach((call, index) => {
      if (call.returned !== Number.POSITIVE_INFINITY) this.#rank[index] = rank++;
    });
    this.#mustCount = rank;
    this.#bits = new Uint32Array((rank >>> 5) + 1);
    this.#state = model.init(initial);
    this.#cursor = this.#next[this.#head] as number;
    this.#best = { prefix: [], state: this.#state, next: [] };
  }

  get steps(): number {
    return this.#steps;
  }

  get exhausted(): boolean {
    return false;
  }

  advance(steps: number): Found<I, O> | undefined {
    const until = this.#steps + steps;
    while (this.#steps < until) {
      if (this.#done === this.#mustCount) return { valid: true, order: this.#order() };
      this.#steps++;
      if (this.#cursor === -1 || this.#isReturn[this.#cursor] === true) {
        if (!this.#backtrack()) return { valid: false };
      } else if (!this.#tryCall(this.#cursor)) {
        return { valid: false };
      }
    }
    return undefined;
  }

  #order(): Call<I, O>[] {
    return this.#stack.map((step) => this.#calls[this.#eventCall[step.event] as number] as Call<I, O>);
  }

  /** Takes the call at this event if it can be taken, else moves on. False: the search is over without success. */
  #tryCall(event: number): boolean {
    const index = this.#eventCall[event] as number;
    const call = this.#calls[index] as Call<I, O>;
    const kind = this.#doubt.classOf.get(call);
    const isTurn = kind === undefined || this.#doubt.classes[kind]?.[usedOf(this.#used, kind)] === call;
    const states = isTurn ? this.#model.step(this.#state, call.input, call.output) : [];
    while (this.#alternative < states.length) {
      const state = states[this.#alternative++] as S;
      // An open call never has to take effect: where it changes nothing it may as well not.
      if (kind !== undefined && this.#model.equal(state, this.#state)) continue;
      // A read that is right here can be taken at once (the state stays as it is, so any order with it later allows it here), and only a read:
      // a write of the value that is there may be needed later to overwrite another.
      const forced = call.readOnly;
      if (this.#take(event, index, state, kind, forced)) return true;
      if (forced) return this.#backtrack();
    }
    this.#alternative = 0;
    this.#cursor = this.#next[event] as number;
    return true;
  }

  #take(event: number, index: number, state: S, kind: number | undefined, forced: boolean): boolean {
    const rank = this.#rank[index] as number;
    const used = kind === undefined ? this.#used : use(this.#used, kind);
    if (rank >= 0) this.#setBit(rank);
    if (!this.#remember(state, used)) {
      if (rank >= 0) this.#clearBit(rank);
      return false;
    }
    this.#stack.push({
      event,
      nextAlternative: this.#alternative,
      stateBefore: this.#state,
      usedBefore: this.#used,
      forced,
    });
    if (rank >= 0) this.#done++;
    this.#state = state;
    this.#used = used;
    this.#unlink(event);
    const returned = this.#returnOf[index] as number;
    if (returned >= 0) this.#unlink(returned);
    this.#cursor = this.#next[this.#head] as number;
    this.#alternative = 0;
    return true;
  }

  #backtrack(): boolean {
    if (this.#done > this.#bestDone) {
      this.#bestDone = this.#done;
      this.#best = { prefix: this.#order(), state: this.#state, next: this.#nextCalls() };
    }
    while (true) {
      const step = this.#stack.pop();
      if (step === undefined) return false;
      const index = this.#eventCall[step.event] as number;
      const returned = this.#returnOf[index] as number;
      if (returned >= 0) this.#relink(returned);
      this.#relink(step.event);
      const rank = this.#rank[index] as number;
      if (rank >= 0) {
        this.#clearBit(rank);
        this.#done--;
      }
      this.#state = step.stateBefore;
      this.#used = step.usedBefore;
      if (step.forced) continue;
      this.#cursor = step.event;
      this.#alternative = step.nextAlternative;
      return true;
    }
  }

  /** Acknowledged calls that no return precedes. */
  #nextCalls(): Call<I, O>[] {
    const calls: Call<I, O>[] = [];
    for (
      let event = this.#next[this.#head] as number;
      event !== -1 && this.#isReturn[event] !== true;
      event = this.#next[event] as number
    ) {
      const call = this.#calls[this.#eventCall[event] as number] as Call<I, O>;
      if (call.returned !== Number.POSITIVE_INFINITY) calls.push(call);
    }
    return calls;
  }

  #unlink(event: number): void {
    const previous = this.#previous[event] as number;
    const next = this.#next[event] as number;
    this.#next[previous] = next;
    if (next !== -1) this.#previous[next] = previous;
  }

  #relink(event: number): void {
    const previous = this.#previous[event] as number;
    const next = this.#next[event] as number;
    this.#next[previous] = event;
    if (next !== -1) this.#previous[next] = event;
  }

  #setBit(rank: number): void {
    const word = rank >>> 5;
    this.#bits[word] = (this.#bits[word] as number) | (1 << (rank & 31));
    this.#setHash ^= mix(rank + 1, 0x9e3779b9);
    if (word > this.#high) this.#high = word;
    while (this.#bits[this.#low] === 0xffffffff) this.#low++;
  }

  #clearBit(rank: number): void {
    const word = rank >>> 5;
    this.#bits[word] = (this.#bits[word] as number) & ~(1 << (rank & 31));
    this.#setHash ^= mix(rank + 1, 0x9e3779b9);
    if (word < this.#low) this.#low = word;
    while (this.#high >= 0 && this.#bits[this.#high] === 0) this.#high--;
  }

  /** False: this, or something at least as good, was visited before. */
  #remember(state: S, used: Used): boolean {
    const hash = mix(this.#setHash, this.#model.hash(state));
    const bucket = this.#visited.get(hash);
    if (bucket !== undefined) {
      for (const visited of bucket) {
        if (this.#sameSet(visited) && this.#model.equal(visited.state, state) && dominates(visited.used, used))
          return false;
      }
    }
    if (this.#visitedCount >= MOST_VISITED) return true;
    this.#visitedCount++;
    const entry = { low: this.#low, words: this.#bits.slice(this.#low, this.#high + 1), state, used };
    if (bucket === undefined) this.#visited.set(hash, [entry]);
    else bucket.push(entry);
    return true;
  }

  #sameSet(visited: Visited<S>): boolean {
    if (visited.low !== this.#low || visited.words.length !== Math.max(0, this.#high + 1 - this.#low)) return false;
    return visited.words.every((word, index) => word === this.#bits[this.#low + index]);
  }

  stuck(): Stuck<S, I, O> {
    return this.#best;
  }
}
