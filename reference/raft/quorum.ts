import type { NodeId } from "./types.ts";

export function quorumSize(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The greatest value that a majority of voters has reached (Raft figure 2: "a majority of matchIndex[i] >= N").
 * No voters: 0, since nobody could agree to anything.
 */
export function reachedByQuorum(voters: ReadonlySet<NodeId>, valueOf: (id: NodeId) => number): number {
  if (voters.size === 0) return 0;
  const values: number[] = [];
  for (const id of voters) {
    // Insertion sort, descending: there are three to seven of them.
    const value = valueOf(id);
    let at = values.length;
    values.push(value);
    while (at > 0 && (values[at - 1] ?? 0) < value) {
      values[at] = values[at - 1] ?? 0;
      at--;
    }
    values[at] = value;
  }
  return values[quorumSize(voters.size) - 1] ?? 0;
}

export type VoteResult = "won" | "lost" | "pending";

export function voteResult(voters: ReadonlySet<NodeId>, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const needed = quorumSize(voters.size);
  let granted = 0;
  let missing = 0;
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}
