import type { Plant } from "../plant.ts";

/** A vote elects for one term only (Raft 5.2), broken: a late answer of an earlier election is counted in the present one. */
export const oldVotes: Plant = {
  name: "old-votes",
  summary: "a vote that was given for an earlier term counts in the present election",
  rules: { countsVote: () => true },
};

/*
 * Caught by seed 9 (leader-loss):
 *   1.22 s  n3, the leader, loses power; n2 hears the others at once, n1 and n3 hear late.
 *   2.31 s  n1 leads in term 3 by the vote of n2; 5 ms later it loses power.
 *   2.61 s  n3, also a candidate in term 3, gets the vote that it was given in an earlier term, counts it, and leads in term 3 too.
 *   "election safety: n1 and n3 both lead in term 3"
 */
