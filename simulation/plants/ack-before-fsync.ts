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
