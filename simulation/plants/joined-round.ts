import type { Plant } from "../plant.ts";

/** A read is confirmed only by a round that began after it arrived (Raft thesis 6.4), broken: any answer confirms it. */
export const joinedRound: Plant = {
  name: "joined-round",
  summary: "a read joins a heartbeat round that is already under way",
  rules: { confirmsRead: () => true },
};
