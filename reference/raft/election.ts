import { voteResult, type VoteResult } from "./quorum.ts";
import type { MessageType, NodeId, Term } from "./types.ts";

/** One campaign: thrown away when the role changes, so a vote can only count in the campaign it was asked for. */
export class Election {
  readonly kind: "preVote" | "vote";
  /** The term campaigned for: for a pre-vote the one that would be entered (Raft thesis 9.6). */
  readonly term: Term;
  readonly responseType: MessageType;
  readonly #votes = new Map<NodeId, boolean>();

  constructor(kind: "preVote" | "vote", term: Term, self: NodeId) {
    this.kind = kind;
    this.term = term;
    this.responseType = kind === "vote" ? "voteResponse" : "preVoteResponse";
    this.#votes.set(self, true);
  }

  /** A member's first answer stands; a duplicate changes nothing. */
  record(voter: NodeId, granted: boolean): void {
    if (!this.#votes.has(voter)) this.#votes.set(voter, granted);
  }

  result(voters: ReadonlySet<NodeId>): VoteResult {
    return voteResult(voters, this.#votes);
  }
}

/** In a vote request's context: the leader itself asked for this election. */
export const transferContext: Uint8Array = new TextEncoder().encode("transfer");

export function isTransfer(context: Uint8Array | undefined): boolean {
  return context?.byteLength === transferContext.byteLength && context.every((byte, i) => byte === transferContext[i]);
}
