import type { PureRules } from "./types.ts";

/** Raft's own rules, one line each, so that a broken one can be planted and seen to be caught. */
export const pureRules: PureRules = {
  // Raft 5.4.2, figure 8: an older entry on a majority may still be overwritten; it commits with one of this term.
  mayCommit: (entryTerm, currentTerm) => entryTerm === currentTerm,
  // Raft 5.2: a vote elects for one term only.
  countsVote: (answerTerm, currentTerm) => answerTerm === currentTerm,
  // Raft thesis 6.4: an answer to an older round says nothing about who leads now.
  confirmsRead: (roundStartedAfterRead) => roundStartedAfterRead,
};
