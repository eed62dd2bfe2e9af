import type { Clock } from "../../seams/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import type { Recorder } from "../recorder.ts";
import type { EtcdClient, Suite, WorkloadContext } from "../suite.ts";
import { closedLoop, openLoop, type Pace } from "./pacer.ts";
import type { LatencySample } from "../load/latency.ts";
import { Session } from "./session.ts";

/** Mean pause of a closed-loop worker: ten of them make some hundreds of operations a second, which a checker settles in seconds. */
const MEAN_THINK_MS = 12;

export interface LoadParts {
  readonly suites: readonly Suite[];
  readonly seed: number;
  readonly nodes: readonly string[];
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly connect: (node: string) => EtcdClient;
  readonly observe: (sample: LatencySample) => void;
  /** Operations a second over all suites, shared by their number of clients; absent: closed loop. */
  readonly ratePerSecond?: number;
}

/** Makes the contexts that suites work in; one suite's workers share a pace, each has its own randomness. */
export class Load {
  readonly #parts: LoadParts;

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** A context for what a suite does once: setup and finish. */
  context(suite: Suite, label: string, signal: AbortSignal): WorkloadContext {
    return this.#context(suite, label, signal, closedLoop(this.#parts.clock, 0));
  }

  /**
   * Runs every worker of every suite until `signal` and resolves when the last has returned.
   * Rejects with the first worker's error; `onError` is called at once, so that the others can be stopped.
   */
  async run(signal: AbortSignal, onError: (error: unknown) => void): Promise<void> {
    const { suites, clock, ratePerSecond } = this.#parts;
    const clients = suites.reduce((sum, suite) => sum + suite.clients, 0);
    const workers = suites.flatMap((suite) => {
      const pace =
        ratePerSecond === undefined
          ? closedLoop(clock, MEAN_THINK_MS)
          : openLoop(clock, (ratePerSecond * suite.clients) / clients);
      return Array.from({ length: suite.clients }, (_, worker) =>
        suite.work(this.#context(suite, `worker/${worker}`, signal, pace), worker).catch((error: unknown) => {
          onError(error);
          throw error;
        }),
      );
    });
    const ended = await Promise.allSettled(workers);
    const broken = ended.find((one) => one.status === "rejected");
    if (broken !== undefined) throw broken.reason;
  }

  #context(suite: Suite, label: string, signal: AbortSignal, pace: Pace): WorkloadContext {
    const { seed, nodes, clock, recorder, connect, observe } = this.#parts;
    const random = seededRandom(seed).fork(`load/${suite.name}/${label}`);
    const thinking = random.fork("pace");
    return {
      clock,
      random,
      signal,
      nodes,
      session: (node) => new Session({ suite: suite.name, recorder, clock, connect, observe }, node),
      pace: async () => {
        const { intended } = await pace(thinking, signal);
        return { intendedNs: recorder.timeNs(intended) };
      },
    };
  }
}
