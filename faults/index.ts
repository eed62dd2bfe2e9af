import type { Fault } from "../harness/fault.ts";
import { failFsync } from "./disk/fail-fsync.ts";
import { slowFsync } from "./disk/slow-fsync.ts";
import { latencyClient, latencyPeer } from "./network/latency.ts";
import { partitionLeader, partitionMajority, partitionOne } from "./network/partition.ts";
import { reset } from "./network/reset.ts";
import { kill } from "./process/kill.ts";
import { pause } from "./process/pause.ts";

/** Every fault there is, in the order that people see them. */
export const faultCatalogue: readonly Fault[] = [
  kill,
  pause,
  partitionOne,
  partitionLeader,
  partitionMajority,
  latencyPeer,
  latencyClient,
  reset,
  slowFsync,
  failFsync,
];

export function faultByName(name: string): Fault | undefined {
  return faultCatalogue.find((fault) => fault.name === name);
}
