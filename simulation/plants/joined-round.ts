import type { Plant } from "../plant.ts";

/** A read is confirmed only by a round that began after it arrived (Raft thesis 6.4), broken: any answer confirms it. */
export const joinedRound: Plant = {
  name: "joined-round",
  summary: "a read joins a heartbeat round that is already under way",
  rules: { confirmsRead: () => true },
};

/*
 * Caught by seed 67 (late-answers), times less the recorder's start:
 *   n1 leads; what the others answer reaches it later and later, by up to a second, and at last nobody hears n1 any more.
 *   0.2 s later n3 is elected. A put through n2 (operation 333) returns at revision 181.
 *   n1 still gets answers of rounds from before the cut. A read through n1 (operation 347), asked after that put had returned, joins such
 *   a round, is confirmed by its answer, and returns revision 180.
 *   "operation 347 was invoked after operation 333 had returned at revision 181, yet it was answered from revision 180"
 */
