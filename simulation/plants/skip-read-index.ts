import { createRaft } from "../../reference/raft/raft.ts";
import type { ReadState } from "../../reference/raft/types.ts";
import type { Plant } from "../plant.ts";
import { wrapRaft } from "./wrap-raft.ts";

/** ReadIndex (Raft thesis 6.4), left out: any member answers at once from what it knows to be committed. */
export const skipReadIndex: Plant = {
  name: "skip-read-index",
  summary: "a linearizable read is answered without asking a majority who leads",
  makeRaft: (config) =>
    wrapRaft(createRaft(config), (core) => {
      let waiting: ReadState[] = [];
      return {
        readIndex(context) {
          waiting.push({ index: core.status().commit, context });
        },
        ready() {
          const ready = core.ready();
          if (waiting.length === 0) return ready;
          const readStates = waiting;
          waiting = [];
          return {
            ...(ready ?? { entries: [], messages: [], afterPersist: [], committed: [], mustSync: false }),
            readStates,
          };
        },
      };
    }),
};

/*
 * Caught by seed 1 (leader-loss):
 *   "operation 657 was invoked after operation 656 had returned at revision 281, yet it was answered from revision 280"
 *   Operation 656 wrote through one member; 657 read through another, which had not heard of that commit and asked nobody.
 */
