import type { EtcdInput, EtcdOutput, History, Verdict, WatchInput, WatchMessage } from "knossos-ts";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import type { Client } from "./client.ts";

export type EtcdClient = Client<EtcdInput, EtcdOutput, WatchInput, WatchMessage>;

/**
 * What a workload works with. Every invocation and stream goes through `process`, so that it is recorded;
 * a process whose operation ended in doubt retires, and `process` hands out a fresh id.
 */
export interface WorkloadContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Aborted when the load is to stop (end of the duration, Ctrl-C). */
  readonly signal: AbortSignal;
  readonly nodes: readonly string[];
  /** A recording client session bound to a node. `moveTo` changes the node (a new connection). */
  session(node: string): RecordingSession;
  /** Waits for the next slot of this suite's open-loop rate; a short seeded pause in closed-loop mode. `intended` is when it should have begun. */
  pace(): Promise<{ readonly intendedNs: number }>;
}

export interface RecordingSession extends AsyncDisposable {
  readonly node: string;
  invoke(
    input: EtcdInput,
    options?: { readonly timeoutMs?: number; readonly intendedNs?: number },
  ): Promise<SessionOutcome>;
  /** Records open, messages and close; yields the messages. `stream` is its id in the history. */
  watch(
    input: WatchInput,
    signal: AbortSignal,
  ): { readonly stream: number; readonly messages: AsyncIterable<WatchMessage> };
  moveTo(node: string): Promise<void>;
}

export type SessionOutcome =
  | { readonly type: "ok"; readonly output: EtcdOutput }
  | { readonly type: "fail" | "info"; readonly code: string; readonly message: string };

/** A reason for the suite to exist: a bug planted in front of a correct store that it must catch. */
export interface Plant {
  readonly name: string;
  readonly summary: string;
}

/**
 * A suite runs `clients` workers of `work` until the signal, then `finish` once after the last heal (final reads),
 * then its `checkers` on the recorded history.
 */
export interface Suite {
  /** Its path: `etcd/kv`. */
  readonly name: string;
  readonly summary: string;
  /** One sentence: what is proven if it holds. */
  readonly guarantee: string;
  readonly needs: readonly string[];
  readonly clients: number;
  /** Runs once before the load (empty the suite's prefix...). */
  setup?(context: WorkloadContext): Promise<void>;
  work(context: WorkloadContext, worker: number): Promise<void>;
  finish?(context: WorkloadContext): Promise<void>;
  check(history: History, budget: { readonly timeLimitMs: number }): Promise<readonly Verdict[]> | readonly Verdict[];
  readonly planted: readonly Plant[];
}
