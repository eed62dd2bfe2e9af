import { createRaft } from "../../reference/raft/raft.ts";
import type { Plant } from "../plant.ts";

/** Only entries of the current term commit by counting (Raft 5.4.2, figure 8), broken. Small appends let an older entry reach a majority by itself. */
export const earlyCommit: Plant = {
  name: "early-commit",
  summary: "an entry of an earlier term is committed because a majority has it",
  rules: { mayCommit: () => true },
  makeRaft: (config) => createRaft({ ...config, maxBytesPerAppend: 1 }),
};

/*
 * Not caught within 200 seeds: it needs figure 8 step by step, three elections each of which replicates just so much. The core's own search
 *   finds it (reference/raft/safety.test.ts); here it is kept for longer hunts.
 */
