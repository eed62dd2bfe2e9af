import { createRaft } from "../../reference/raft/raft.ts";
import type { Plant } from "../plant.ts";
import { wrapRaft } from "./wrap-raft.ts";

/** Persist before you promise (Raft figure 2), broken: what must wait for the disk is sent with what need not. */
export const ackBeforeFsync: Plant = {
  name: "ack-before-fsync",
  summary: "votes and acknowledgements leave before the disk has what they promise",
  makeRaft: (config) =>
    wrapRaft(createRaft(config), (core) => ({
      ready() {
        const ready = core.ready();
        return ready && { ...ready, messages: [...ready.messages, ...ready.afterPersist], afterPersist: [] };
      },
    })),
};

/*
 * Caught by seed 3 (power-storm):
 *   1.24 s  every datasync takes 168 ms more. Followers acknowledge entries that are on nobody's disk; the leader commits and answers clients.
 *   1.43 s  all three lose power, and the entries with it. The next leader commits others in their place:
 *   "state machine safety: n2 was handed the entry of term 1 at index 251 as committed, n3 another one of term 2"
 *   The clients saw it as well: "kv/0/1 was absent at revision 203, but kv/0/1="2.74" (mod 203) was there from 203 to 206".
 */
