import type { Plant } from "../plant.ts";

/** A vote elects for one term only (Raft 5.2), broken: a late answer of an earlier election is counted in the present one. */
export const oldVotes: Plant = {
  name: "old-votes",
  summary: "a vote that was given for an earlier term counts in the present election",
  rules: { countsVote: () => true },
};
