import type { Clock } from "../../seams/clock.ts";
import type { Random } from "../../seams/random.ts";
import { UsageError } from "../errors.ts";
import type { Target } from "../target.ts";
import { findBinary } from "./binary.ts";
import { EndpointsTarget } from "./endpoints-target.ts";
import { ProcessTarget } from "./process-target.ts";

export { EndpointsTarget } from "./endpoints-target.ts";

export interface OpenTargetOptions {
  readonly nodes: number;
  readonly runDir: string;
  readonly clock: Clock;
  /** Decides ports; fork it from the run's seed. */
  readonly random: Random;
  /** For `endpoints`: `host:port` or `http://host:port`, one a member. */
  readonly endpoints?: readonly string[];
  readonly allowRemote?: boolean;
  /** Leave the members' data directories when the target is disposed of. */
  readonly keepData?: boolean;
}

/**
 * Makes what is on trial ready to be started: `reference` (our store), `etcd` (the one on PATH), a path to a binary that starts like etcd, or
 * `endpoints`. Rejects with UsageError if there is no such thing. The simulation is made in `targets/simulation/`.
 */
export async function openTarget(spec: string, options: OpenTargetOptions): Promise<Target> {
  if (spec === "endpoints") return new EndpointsTarget({ ...options, endpoints: options.endpoints ?? [] });
  if (options.endpoints !== undefined && options.endpoints.length > 0)
    throw new UsageError(`--endpoints is for --target endpoints, not for --target ${spec}; leave one of them out.`);
  if (spec !== "reference" && spec !== "etcd" && !spec.includes("/")) {
    throw new UsageError(
      `there is no target ${JSON.stringify(spec)}; give --target reference, etcd, endpoints, simulation or a path (with a slash) to a binary that starts like etcd.`,
    );
  }
  return ProcessTarget.open(await findBinary(spec), options);
}
