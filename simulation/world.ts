import { createHash } from "node:crypto";
import { clearImmediate as clearTurn, setImmediate as nextTurn } from "node:timers";
import { assert } from "../seams/assert.ts";
import { seededRandom, type Random } from "../seams/random.ts";
import { EventHeap, type ScheduledEvent } from "./event-heap.ts";

export interface WorldOptions {
  /** Keeps the trace's lines for reading; without it only their hash. */
  readonly keepTrace?: boolean;
}

/** Why a run ended: the condition came true, simulated time was up, or nothing was left to happen (then time is up as well). */
export type RunEnd = "done" | "time" | "idle";

export interface Timer {
  cancel(): void;
}

/**
 * Real turns asked for at once. Node empties its microtask queue after each turn, so that every event's promises settle before the next
 * event; asking for many spares a look at the operating system after each.
 */
const TURNS_AT_ONCE = 64;

/**
 * A deterministic world: one seed, simulated time, and a heap of what will happen. Whatever is decided or happens is folded into
 * a running hash. The code under simulation may await only what the world resolves; then one seed is one course of events.
 * Simulated time is whole microseconds, so that no machine rounds it otherwise.
 */
export class World {
  readonly seed: number | string;
  readonly random: Random;
  readonly #heap = new EventHeap();
  readonly #hash = createHash("sha256");
  readonly #lines: string[] | undefined;
  readonly #lives = new Map<string, number>();
  #nowUs = 0;
  #sequence = 0;
  #events = 0;
  #running = false;

  constructor(seed: number | string, options: WorldOptions = {}) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.#lines = options.keepTrace === true ? [] : undefined;
  }

  /** Simulated milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowUs / 1000;
  }

  /** Events that have happened. */
  get events(): number {
    return this.#events;
  }

  /** Hash of everything that has happened so far, in hexadecimal. */
  get traceHash(): string {
    return this.#hash.copy().digest("hex").slice(0, 16);
  }

  /** The trace's lines, oldest first; empty unless kept. */
  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  /** Folds a decision or an effect into the trace. */
  trace(line: string): void {
    const whole = `${this.#nowUs} ${line}\n`;
    this.#hash.update(whole);
    this.#lines?.push(whole.slice(0, -1));
  }

  /** Lets something happen after `delayMs` of simulated time (rounded up to a microsecond). `life`: it does not happen if that one is over by then. */
  after(delayMs: number, label: string, run: () => void, life?: Life): Timer {
    assert(delayMs >= 0 && Number.isFinite(delayMs), `a delay is a finite time from now on, not ${delayMs}`);
    const event: ScheduledEvent = {
      timeUs: this.#nowUs + Math.ceil(delayMs * 1000),
      sequence: this.#sequence++,
      label,
      run: life === undefined ? run : () => life.alive && run(),
    };
    this.#heap.push(event);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  /** A new life of the process `name`: what the one before still awaits never resolves. */
  begin(name: string): Life {
    const number = (this.#lives.get(name) ?? 0) + 1;
    this.#lives.set(name, number);
    const life = new Life(this, name, number);
    this.trace(`begin ${life.label}`);
    return life;
  }

  /**
   * Lets events happen until `done` holds (asked after each), `maxMs` of simulated time have passed, or none is left.
   * An error thrown by an event, an invariant that does not hold, rejects.
   */
  run(options: { readonly done?: () => boolean; readonly maxMs?: number }): Promise<RunEnd> {
    assert(!this.#running, "a world is run by one at a time");
    this.#running = true;
    const endUs = this.#nowUs + Math.ceil((options.maxMs ?? Number.POSITIVE_INFINITY) * 1000);
    return new Promise((resolve, reject) => {
      let turns: NodeJS.Immediate[] = [];
      let left = 0;
      const askForTurns = (): void => {
        left = TURNS_AT_ONCE;
        turns = Array.from({ length: TURNS_AT_ONCE }, () => nextTurn(turn));
      };
      const finish = (settle: () => void): void => {
        for (const one of turns) clearTurn(one);
        this.#running = false;
        settle();
      };
      const turn = (): void => {
        try {
          const end = this.#step(options.done, endUs);
          if (end !== undefined) finish(() => resolve(end));
          else if (--left === 0) askForTurns();
        } catch (error) {
          finish(() => reject(error));
        }
      };
      askForTurns();
    });
  }

  /** Lets one event happen; what it began settles in the microtasks that follow. */
  #step(done: (() => boolean) | undefined, endUs: number): RunEnd | undefined {
    for (;;) {
      if (done?.() === true) return "done";
      const next = this.#heap.peek();
      if (next === undefined || next.timeUs > endUs) {
        if (Number.isFinite(endUs)) this.#nowUs = endUs;
        return next === undefined ? "idle" : "time";
      }
      this.#heap.pop();
      // Cancelled: nothing to settle, go on at once.
      if (next.run === undefined) continue;
      this.#nowUs = next.timeUs;
      this.#events++;
      this.trace(next.label);
      next.run();
      return undefined;
    }
  }
}

/** Lets the world run until `work` is settled. Rejects if it stands still before: then nothing is left that could ever settle it. */
export async function runUntilSettled<T>(world: World, work: Promise<T>): Promise<T> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  work.then(settle, settle);
  const end = await world.run({ done: () => settled });
  if (end === "idle" && !settled)
    throw new Error(`at ${world.nowMs} ms nothing is left to happen, but someone still waits (seed ${world.seed})`);
  return work;
}

/** One life of a process, from its start to its crash. Disks, networks, backends and clocks are used through it. */
export class Life {
  readonly world: World;
  readonly name: string;
  readonly number: number;
  readonly #atDeath = new Set<() => void>();
  #alive = true;

  constructor(world: World, name: string, number: number) {
    this.world = world;
    this.name = name;
    this.number = number;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get label(): string {
    return `${this.name}#${this.number}`;
  }

  /** Ends it here: nothing it awaits resolves any more, nothing it scheduled happens. Whoever must know (peers, harness) is told. */
  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.world.trace(`end ${this.label}`);
    for (const tell of this.#atDeath) tell();
    this.#atDeath.clear();
  }

  onEnd(tell: () => void): Disposable {
    this.#atDeath.add(tell);
    return { [Symbol.dispose]: () => this.#atDeath.delete(tell) };
  }

  /** Resolves or rejects after `delayMs`, with what `settle` returns or throws then; never if this life is over. */
  later<T>(delayMs: number, label: string, settle: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return;
      this.world.after(
        delayMs,
        `${this.label} ${label}`,
        () => {
          try {
            resolve(settle());
          } catch (error) {
            reject(error);
          }
        },
        this,
      );
    });
  }
}
