import { RpcError } from "../reference/etcd-server/errors.ts";
import type { DirectServices } from "../reference/transport/direct.ts";
import type { Random } from "../seams/random.ts";
import type { Life, Timer, World } from "./world.ts";

/** How the links between clients and one member are. */
export interface ClientLinkShape {
  /** One way takes between these two. */
  readonly delayMs: readonly [number, number];
  /** Calls whose request, and whose answer, never arrives, of a thousand: the client waits until its own deadline. */
  readonly lostRequestPermille: number;
  readonly lostAnswerPermille: number;
}

export const CALM_CLIENT_LINK: ClientLinkShape = {
  delayMs: [0.05, 0.5],
  lostRequestPermille: 0,
  lostAnswerPermille: 0,
};

/** The call ended without an answer of the member's services. `code` is a gRPC code name. */
export class ClientLinkError extends Error {
  override readonly name = "ClientLinkError";
  readonly code: "UNAVAILABLE" | "CANCELLED";
  /** Whether the request may have reached the member. */
  readonly connected: boolean;
  constructor(code: ClientLinkError["code"], message: string, connected: boolean) {
    super(message);
    this.code = code;
    this.connected = connected;
  }
}

/** A member as its clients find it: undefined services while it does not serve. */
export interface Served {
  readonly name: string;
  readonly shape: ClientLinkShape;
  readonly life: Life | undefined;
  readonly services: DirectServices | undefined;
}

interface Answer<T> {
  settled(): boolean;
  resolve(value: T): void;
  reject(error: Error): void;
}

/**
 * What is between the clients and one member. A request may reach a member that dies before it answers; an answer may be lost:
 * then the client does not know. What the client no longer waits for goes on at the member, as with real connections.
 */
export class ClientLinks {
  readonly #world: World;
  readonly #served: () => Served;
  readonly #random: Random;
  #lost = 0;
  #slowestMs = 0;

  constructor(world: World, name: string, served: () => Served) {
    this.#world = world;
    this.#served = served;
    this.#random = world.random.fork(`clients of ${name}`);
  }

  /** Requests and answers that never arrived since the last `countAnew`. */
  get lost(): number {
    return this.#lost;
  }

  /** The longest way that a request or an answer took since then. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  countAnew(): void {
    this.#lost = 0;
    this.#slowestMs = 0;
  }

  /** Rejects with RpcError (the member refused) or ClientLinkError. */
  unary(path: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const method = path.slice(path.lastIndexOf("/") + 1);
    return this.#call<Uint8Array>(method, signal, (services, life, answer) => {
      const lost = this.#random.below(1000) < this.#served().shape.lostAnswerPermille;
      const back = (settle: () => void): void => {
        if (lost) this.#lost++;
        else this.#world.after(this.#delay(), `${life.label} answers ${method}`, settle, life);
      };
      services.unary(path, new Uint8Array(request), new AbortController().signal).then(
        (bytes) => back(() => answer.resolve(bytes)),
        (error: unknown) => back(() => answer.reject(error as RpcError)),
      );
    });
  }

  /** Sends one message and yields what comes, in order. Throws as `unary` rejects; aborting ends it with CANCELLED. */
  async *stream(path: string, request: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const method = path.slice(path.lastIndexOf("/") + 1);
    const queue: Uint8Array[] = [];
    let wake: () => void = () => undefined;
    let end: { readonly error?: Error } | undefined;
    const finish = (ending: { readonly error?: Error }): void => {
      end ??= ending;
      wake();
    };
    const leaving = new AbortController();
    const over = AbortSignal.any([signal, leaving.signal]);
    this.#call<void>(method, over, (services, life, answer) => {
      const gone = new AbortController();
      over.addEventListener("abort", () => gone.abort(new RpcError(1, "etcdserver: request canceled")), { once: true });
      const carry = async (): Promise<void> => {
        for await (const message of services.stream(path, only(request, gone.signal), gone.signal)) {
          // One message in the air at a time: they stay in order, and a slow link slows the sender.
          await life.later(this.#delay(), `sends on ${method}`, () => undefined);
          if (answer.settled()) return;
          queue.push(message);
          wake();
        }
        await life.later(this.#delay(), `ends ${method}`, () => answer.resolve());
      };
      carry().catch((error: unknown) => {
        if (life.alive)
          this.#world.after(this.#delay(), `${life.label} fails ${method}`, () => answer.reject(error as Error), life);
      });
    }).then(
      () => finish({}),
      (error: unknown) => finish({ error: error as Error }),
    );
    try {
      for (;;) {
        const next = queue.shift();
        if (next !== undefined) yield next;
        else if (end !== undefined) {
          if (end.error !== undefined) throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      leaving.abort();
    }
  }

  #delay(): number {
    const [least, most] = this.#served().shape.delayMs;
    const delayMs = least + ((most - least) * this.#random.below(1001)) / 1000;
    this.#slowestMs = Math.max(this.#slowestMs, delayMs);
    return delayMs;
  }

  /** There and back; broken by the end of the member's life, and left by the caller's signal. */
  #call<T>(
    method: string,
    signal: AbortSignal,
    serve: (services: DirectServices, life: Life, answer: Answer<T>) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let settled = false;
      const timers: Timer[] = [];
      const disposables: Disposable[] = [];
      let arrived = false;
      const finish = (settle: () => void): void => {
        if (settled) return;
        settled = true;
        for (const timer of timers) timer.cancel();
        for (const one of disposables) one[Symbol.dispose]();
        signal.removeEventListener("abort", onAbort);
        settle();
      };
      const onAbort = (): void =>
        finish(() => reject(new ClientLinkError("CANCELLED", `the client left ${method}`, arrived)));
      const fail = (why: string, connected: boolean): void => {
        timers.push(
          this.#world.after(this.#delay(), `client of ${this.#served().name}: ${why}`, () =>
            finish(() => reject(new ClientLinkError("UNAVAILABLE", why, connected))),
          ),
        );
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      const lost = this.#random.below(1000) < this.#served().shape.lostRequestPermille;
      if (lost) {
        // It may be late for ever, as far as the client can tell.
        arrived = true;
        this.#lost++;
        return undefined;
      }
      timers.push(
        this.#world.after(this.#delay(), `${method} reaches ${this.#served().name}`, () => {
          const { life, services } = this.#served();
          if (life === undefined || services === undefined || !life.alive) return fail("connection refused", false);
          arrived = true;
          disposables.push(life.onEnd(() => fail("connection reset: the member is gone", true)));
          serve(services, life, {
            settled: () => settled,
            resolve: (value) => finish(() => resolve(value)),
            reject: (error) => finish(() => reject(error)),
          });
        }),
      );
      return undefined;
    });
  }
}

/** One message, and then an open stream until the client leaves. */
async function* only(request: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> {
  yield new Uint8Array(request);
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
