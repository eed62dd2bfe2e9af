import type { Json } from "knossos-ts";
import type { Clock } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import type { ClusterView, LaunchSpec, Target } from "./target.ts";

export type Envelope = "within" | "beyond" | "availability";
export type Phase = "before" | "during" | "healed";

/** What a probe measured; `holds` says whether that is what the phase should show. */
export interface ProbeReading {
  readonly holds: boolean | "inconclusive";
  /** One short sentence with the number in it: "put through n1 took 412 ms (asked for 400)". */
  readonly text: string;
  readonly figures?: Readonly<Record<string, Json>>;
}

/** One line of faults.jsonl. Times are nanoseconds since the run's start. */
export interface Injection {
  readonly id: number;
  readonly fault: string;
  readonly envelope: Envelope;
  readonly plan: Json;
  readonly resolved: Json;
  /** Node names it was aimed at. */
  readonly on: readonly string[];
  readonly plannedAt: number;
  readonly injectedAt: number;
  readonly healedAt: number;
  readonly evidence: {
    readonly result: "confirmed" | "mismatch" | "inconclusive";
    readonly before: ProbeReading;
    readonly during: ProbeReading;
    readonly healed: ProbeReading;
  };
  readonly error?: string;
}

export interface FaultContext {
  readonly target: Target;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Toxiproxy-compatible API of the run's links; set when the target has `links`. */
  readonly linksApi?: string;
}

/**
 * One fault a file. `P` the symbolic plan ("the leader"), `R` the plan made concrete, `H` what heals it, from JSON alone, in another process if need be.
 * Life: prepare (before start) -> plan (pure) -> resolve -> undo (journalled and synced before inject) -> probe before -> inject -> probe during -> heal -> probe healed.
 */
export interface Fault<P extends Json = Json, R extends Json = Json, H extends Json = Json> {
  readonly name: string;
  readonly summary: string;
  readonly envelope: Envelope;
  /** Target capabilities without which it cannot be. */
  readonly needs: readonly string[];
  prepare?(spec: LaunchSpec): LaunchSpec;
  plan(random: Random, nodes: readonly string[]): P;
  resolve(plan: P, view: ClusterView): R;
  /** Node names that the resolved fault is aimed at. */
  on(resolved: R): readonly string[];
  /** Everything `heal` needs: pids with their start times, proxy URL and names, node names. */
  undo(context: FaultContext, resolved: R): H;
  inject(context: FaultContext, resolved: R): Promise<void>;
  probe(context: FaultContext, resolved: R, phase: Phase): Promise<ProbeReading>;
  /** Idempotent. While the run lives, `target` is there to restart members; `seatrial clean` calls it without. */
  heal(undo: H, target?: Target): Promise<void>;
}

/** One planned injection: a function of the seed. */
export interface ScheduledFault {
  readonly id: number;
  readonly fault: string;
  readonly plan: Json;
  /** Milliseconds after the load began. */
  readonly atMs: number;
  readonly forMs: number;
}
