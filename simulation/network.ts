import { crc32c } from "@node-rs/crc32";
import type { Network, NetworkHandler, NodeId } from "../seams/network.ts";
import type { Random } from "../seams/random.ts";
import { SnapshotPipe } from "./snapshot-pipe.ts";
import type { Life, Timer, World } from "./world.ts";

/** How one directed link treats what is sent over it. */
export interface LinkShape {
  /** Nothing passes; requests and streams break after `connectTimeoutMs`. */
  readonly cut: boolean;
  /** Each message takes between these two; unequal delays reorder. */
  readonly delayMs: readonly [number, number];
  /** Messages lost, and sent twice, of a thousand. */
  readonly lossPermille: number;
  readonly duplicatePermille: number;
}

/** What became of the messages on one directed link since the last `countAnew`. */
export interface LinkFigures {
  readonly sent: number;
  readonly lost: number;
  readonly slowestMs: number;
}

export const CALM_LINK: LinkShape = { cut: false, delayMs: [0.1, 1], lossPermille: 0, duplicatePermille: 0 };

/** How long one who asks over a cut link waits to learn that the connection is gone. */
const CONNECT_TIMEOUT_MS = 1000;

/** The link failed: the request may or may not have been carried out. */
export class LinkError extends Error {
  override readonly name = "LinkError";
  readonly code = "ECONNRESET";
}

interface Port {
  readonly life: Life;
  handler: NetworkHandler | undefined;
}

/**
 * The links between members. What is in the air outlives its sender, and reaches whatever life the receiver is in when it arrives:
 * Raft must bear both. Requests and snapshot streams are connections: they break with either end.
 */
export class SimulatedNetwork {
  readonly #world: World;
  readonly #ports = new Map<NodeId, Port>();
  readonly #links = new Map<string, LinkShape>();
  readonly #randoms = new Map<string, Random>();
  readonly #figures = new Map<string, { sent: number; lost: number; slowestMs: number }>();
  #default: LinkShape;

  constructor(world: World, shape: LinkShape = CALM_LINK) {
    this.#world = world;
    this.#default = shape;
  }

  /** Connects one life of a member. */
  join(id: NodeId, life: Life): Network {
    const port: Port = { life, handler: undefined };
    this.#ports.set(id, port);
    return {
      send: (to, bytes) => {
        if (life.alive) this.#send(id, to, new Uint8Array(bytes));
      },
      request: (to, method, body, signal) => this.#request(id, life, to, method, new Uint8Array(body), signal),
      sendSnapshot: (to, stream, signal) => this.#sendSnapshot(id, life, to, stream, signal),
      receive: (handler) => {
        port.handler = handler;
        return {
          [Symbol.dispose]: () => {
            if (port.handler === handler) port.handler = undefined;
          },
        };
      },
    };
  }

  /** Shapes one directed link; absent fields keep what they are. */
  shape(from: NodeId, to: NodeId, change: Partial<LinkShape>): void {
    this.#links.set(key(from, to), { ...this.#link(from, to), ...change });
    this.#world.trace(`link ${key(from, to)} ${JSON.stringify(change)}`);
  }

  /** Cuts every link between the two sides, both ways. */
  partition(one: readonly NodeId[], other: readonly NodeId[]): void {
    for (const a of one) {
      for (const b of other) {
        this.shape(a, b, { cut: true });
        this.shape(b, a, { cut: true });
      }
    }
  }

  /** Every link becomes as `shape` says. */
  heal(shape: LinkShape = CALM_LINK): void {
    this.#links.clear();
    this.#default = shape;
    this.#world.trace("links healed");
  }

  figures(from: NodeId, to: NodeId): LinkFigures {
    return this.#figures.get(key(from, to)) ?? { sent: 0, lost: 0, slowestMs: 0 };
  }

  countAnew(): void {
    this.#figures.clear();
  }

  #count(name: string, lost: boolean): { slowestMs: number } {
    let figures = this.#figures.get(name);
    if (figures === undefined) this.#figures.set(name, (figures = { sent: 0, lost: 0, slowestMs: 0 }));
    figures.sent++;
    if (lost) figures.lost++;
    return figures;
  }

  #link(from: NodeId, to: NodeId): LinkShape {
    return this.#links.get(key(from, to)) ?? this.#default;
  }

  #random(from: NodeId, to: NodeId): Random {
    const name = key(from, to);
    let random = this.#randoms.get(name);
    if (random === undefined) {
      random = this.#world.random.fork(`link ${name}`);
      this.#randoms.set(name, random);
    }
    return random;
  }

  #delay(from: NodeId, to: NodeId): number {
    const [least, most] = this.#link(from, to).delayMs;
    return least + ((most - least) * this.#random(from, to).below(1001)) / 1000;
  }

  #open(id: NodeId): Port | undefined {
    const port = this.#ports.get(id);
    return port?.life.alive === true && port.handler !== undefined ? port : undefined;
  }

  #send(from: NodeId, to: NodeId, bytes: Uint8Array): void {
    const link = this.#link(from, to);
    const random = this.#random(from, to);
    const name = key(from, to);
    // Drawn in any case, so that cutting one link does not change the fate of what is sent afterwards.
    const lost = random.below(1000) < link.lossPermille;
    const copies = random.below(1000) < link.duplicatePermille ? 2 : 1;
    this.#world.trace(`send ${name} ${bytes.length} ${link.cut || lost ? "lost" : `x${copies}`} ${crc32c(bytes)}`);
    const figures = this.#count(name, link.cut || lost);
    if (link.cut || lost) return;
    for (let i = 0; i < copies; i++) {
      const delayMs = this.#delay(from, to);
      figures.slowestMs = Math.max(figures.slowestMs, delayMs);
      this.#world.after(delayMs, `arrive ${name} ${bytes.length}`, () => {
        // What was in the air when the link was cut is lost too.
        if (!this.#link(from, to).cut) this.#open(to)?.handler?.message(from, new Uint8Array(bytes));
      });
    }
  }

  #request(
    from: NodeId,
    life: Life,
    to: NodeId,
    method: string,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return this.#exchange(from, life, to, `request ${method}`, signal, (port, stop) =>
      port.handler?.request(from, method, body, stop),
    );
  }

  async #sendSnapshot(
    from: NodeId,
    life: Life,
    to: NodeId,
    stream: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const pipe = new SnapshotPipe(life, stream, async (chunk) => {
      await life.later(this.#delay(from, to), `snapshot ${key(from, to)} ${chunk.length}`, () => undefined);
      if (this.#link(from, to).cut) throw new LinkError(`the link ${key(from, to)} is cut`);
    });
    try {
      await this.#exchange(from, life, to, "snapshot", signal, (port, stop) => {
        stop.addEventListener("abort", () => pipe.break(stop.reason as Error), { once: true });
        return port.handler?.snapshot(from, pipe.receiver());
      });
    } finally {
      await pipe.close();
    }
  }

  /** A connection there and back: broken by a cut, by the caller's signal, and by the end of either life. */
  #exchange<T>(
    from: NodeId,
    life: Life,
    to: NodeId,
    what: string,
    signal: AbortSignal,
    serve: (port: Port, stop: AbortSignal) => Promise<T> | undefined,
  ): Promise<T> {
    const name = `${key(from, to)} ${what}`;
    return new Promise<T>((resolve, reject) => {
      if (!life.alive) return;
      const stop = new AbortController();
      const timers: Timer[] = [];
      const disposables: Disposable[] = [];
      let settled = false;
      const finish = (settle: () => void): void => {
        if (settled) return;
        settled = true;
        for (const timer of timers) timer.cancel();
        for (const one of disposables) one[Symbol.dispose]();
        signal.removeEventListener("abort", onAbort);
        if (life.alive) settle();
      };
      const breakOff = (error: Error): void => {
        stop.abort(error);
        finish(() => reject(error));
      };
      const onAbort = (): void => breakOff(signal.reason as Error);
      const reset = (why: string, delayMs: number): void => {
        timers.push(
          this.#world.after(delayMs, `${name} breaks`, () => breakOff(new LinkError(`${name}: ${why}`)), life),
        );
      };
      if (signal.aborted) {
        breakOff(signal.reason as Error);
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      disposables.push(life.onEnd(() => breakOff(new LinkError(`${name}: the caller ended`))));
      if (this.#link(from, to).cut) {
        reset("the link is cut", CONNECT_TIMEOUT_MS);
        return;
      }
      timers.push(
        this.#world.after(this.#delay(from, to), `${name} arrives`, () => {
          const port = this.#open(to);
          if (port === undefined || this.#link(from, to).cut) {
            reset("nobody answers", this.#delay(to, from));
            return;
          }
          const onEnd = (): void => {
            // What the dead side still reads must not go on; the living one learns of it a little later.
            stop.abort(new LinkError(`${name}: the other side ended`));
            reset("the other side ended", this.#delay(to, from));
          };
          disposables.push(port.life.onEnd(onEnd));
          const answer = (settle: () => void): void => {
            if (settled || !port.life.alive) return;
            if (this.#link(to, from).cut) reset("the link back is cut", CONNECT_TIMEOUT_MS);
            else timers.push(this.#world.after(this.#delay(to, from), `${name} answered`, () => finish(settle), life));
          };
          serve(port, stop.signal)?.then(
            (value) => answer(() => resolve(value)),
            (error: unknown) => answer(() => reject(error)),
          );
        }),
      );
    });
  }
}

function key(from: NodeId, to: NodeId): string {
  return `${from.toString(16)}>${to.toString(16)}`;
}
