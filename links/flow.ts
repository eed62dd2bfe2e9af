import type { Socket } from "node:net";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import { Pipe } from "./pipe.ts";
import { passThrough, type Attributes, type ToxicIo, type ToxicKind } from "./toxics.ts";

/** A toxic as a proxy holds it; its attributes change when the API updates it. */
export interface Toxic {
  readonly name: string;
  readonly type: string;
  readonly stream: "upstream" | "downstream";
  readonly kind: ToxicKind;
  toxicity: number;
  attributes: Attributes;
}

export interface FlowOwner {
  /** The direction is over by a toxic's hand: the connection goes, with a reset or without. */
  ended(how: "close" | "reset"): void;
  /** Bytes that reached the destination's socket. */
  moved(bytes: number): void;
}

/** One toxic at work on one direction of one connection. It runs until interrupted, so that its surroundings can be changed. */
class Stage {
  readonly toxic: Toxic;
  readonly input = new Pipe();
  output: Pipe;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #state = { transmitted: 0 };
  #interrupt = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(toxic: Toxic, output: Pipe, clock: Clock, random: Random) {
    this.toxic = toxic;
    this.output = output;
    this.#clock = clock;
    this.#random = random;
  }

  run(): void {
    this.#interrupt = new AbortController();
    const signal = this.#interrupt.signal;
    const { input, output } = this;
    const clock = this.#clock;
    const io: ToxicIo = {
      clock,
      random: this.#random,
      state: this.#state,
      take: () => input.take(signal),
      async put(data, at) {
        if (output.full) await output.room(signal);
        output.push({ data, at });
      },
      end: (how) => output.end(how),
      async pause(ms) {
        if (signal.aborted) return false;
        if (ms <= 0) return true;
        await clock.sleep(ms, signal).catch(() => undefined);
        return !signal.aborted;
      },
      get interrupted() {
        return signal.aborted;
      },
    };
    const kind = this.#random.float() < this.toxic.toxicity ? this.toxic.kind : passThrough;
    this.#running = kind.pipe(io, this.toxic.attributes);
  }

  async interrupt(): Promise<void> {
    this.#interrupt.abort();
    await this.#running;
  }
}

/**
 * One direction of a connection: source, toxics in their order, destination. Without toxics a chunk goes straight from
 * socket to socket. Memory is bounded everywhere: a full destination or pipe pauses the source.
 */
export class Flow {
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #owner: FlowOwner;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stages: Stage[] = [];
  /** What the stages have let out and the destination has not taken yet; while it is there, nothing goes the short way. */
  #outlet: Pipe | undefined;
  #finished = false;
  #changes: Promise<void> = Promise.resolve();
  #stopped = new AbortController();

  constructor(
    source: Socket,
    destination: Socket,
    owner: FlowOwner,
    clock: Clock,
    random: Random,
    toxics: readonly Toxic[],
  ) {
    this.#source = source;
    this.#destination = destination;
    this.#owner = owner;
    this.#clock = clock;
    this.#random = random;
    destination.on("drain", () => this.#resume());
    for (const toxic of toxics) this.#append(toxic);
    for (const stage of this.#stages) stage.run();
  }

  /** Takes what the source sent. */
  push(data: Buffer): void {
    if (this.#stopped.signal.aborted) return;
    const inlet = this.#inlet();
    if (inlet === undefined) {
      if (!this.#write(data)) this.#source.pause();
      return;
    }
    inlet.push({ data, at: this.#clock.now() });
    if (!inlet.full) return;
    this.#source.pause();
    inlet.onRoom(() => this.#resume());
  }

  /** The source has sent its FIN. */
  finish(): void {
    if (this.#finished || this.#stopped.signal.aborted) return;
    this.#finished = true;
    const inlet = this.#inlet();
    if (inlet === undefined) this.#destination.end();
    else inlet.end("fin");
  }

  /** The connection is gone: let go of everything. */
  stop(): void {
    this.#stopped.abort();
    for (const stage of this.#stages.splice(0)) void stage.interrupt();
  }

  add(toxic: Toxic): Promise<void> {
    return this.#change(async () => {
      const last = this.#stages.at(-1);
      await last?.interrupt();
      if (this.#stopped.signal.aborted) return;
      this.#append(toxic).run();
      last?.run();
    });
  }

  update(toxic: Toxic): Promise<void> {
    return this.#change(async () => {
      const stage = this.#stages.find((one) => one.toxic === toxic);
      await stage?.interrupt();
      if (!this.#stopped.signal.aborted) stage?.run();
    });
  }

  remove(toxic: Toxic): Promise<void> {
    return this.#change(async () => {
      const index = this.#stages.findIndex((one) => one.toxic === toxic);
      const stage = this.#stages[index];
      if (stage === undefined) return;
      if (toxic.kind.endsOnRemoval === true) {
        this.#owner.ended("close");
        return;
      }
      const previous = this.#stages[index - 1];
      await previous?.interrupt();
      await stage.interrupt();
      if (this.#stopped.signal.aborted) return;
      for (let rest = stage.input.shift(); rest !== undefined; rest = stage.input.shift()) {
        if ("end" in rest) {
          stage.output.end(rest.end);
          break;
        }
        stage.output.push(rest);
      }
      this.#stages.splice(index, 1);
      if (previous !== undefined) {
        previous.output = stage.output;
        previous.run();
      }
      this.#resume();
    });
  }

  #inlet(): Pipe | undefined {
    return this.#stages[0]?.input ?? this.#outlet;
  }

  /** Puts a stage at the end, in front of the outlet; the caller sets it and the one before it running. */
  #append(toxic: Toxic): Stage {
    const outlet = this.#outlet ?? new Pipe();
    const stage = new Stage(toxic, outlet, this.#clock, this.#random);
    const last = this.#stages.at(-1);
    if (last !== undefined) last.output = stage.input;
    this.#stages.push(stage);
    if (this.#outlet === undefined) {
      this.#outlet = outlet;
      void this.#drainOutlet(outlet);
    }
    if (this.#stages.length === 1) this.#resume();
    return stage;
  }

  /** Changes of one flow happen one after the other: each interrupts stages and must find them running. */
  #change(change: () => Promise<void>): Promise<void> {
    this.#changes = this.#changes.then(change);
    return this.#changes;
  }

  async #drainOutlet(outlet: Pipe): Promise<void> {
    const signal = this.#stopped.signal;
    for (;;) {
      if (this.#stages.length === 0 && outlet.empty) {
        this.#outlet = undefined;
        return;
      }
      const taken = outlet.shift() ?? (await outlet.take(signal));
      if (taken === "interrupted") return;
      if ("end" in taken) {
        if (taken.end === "fin") this.#destination.end();
        else this.#owner.ended(taken.end);
        return;
      }
      if (!this.#write(taken.data)) await this.#drained();
    }
  }

  #write(data: Buffer): boolean {
    this.#owner.moved(data.length);
    return this.#destination.write(data);
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#destination.off("drain", done);
        this.#stopped.signal.removeEventListener("abort", done);
        resolve();
      };
      this.#destination.on("drain", done);
      this.#stopped.signal.addEventListener("abort", done, { once: true });
      if (!this.#destination.writableNeedDrain || this.#stopped.signal.aborted) done();
    });
  }

  #resume(): void {
    const inlet = this.#inlet();
    const blocked = inlet === undefined ? this.#destination.writableNeedDrain : inlet.full;
    if (!blocked) this.#source.resume();
  }
}
