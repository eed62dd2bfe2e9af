import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeConfChange, encodeConfChange, Membership } from "./membership.ts";
import { quorumSize, reachedByQuorum, voteResult } from "./quorum.ts";
import { ConfChange, ConfChangeType } from "../../api/etcd/gen/raft.ts";
import type { NodeId } from "./types.ts";

function ids(count: number): NodeId[] {
  return Array.from({ length: count }, (_, i) => BigInt(i + 1) as NodeId);
}

describe("a majority", () => {
  it("has reached exactly the values that enough voters have reached", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 7 }), (values) => {
        const voters = ids(values.length);
        const reached = reachedByQuorum(new Set(voters), (id) => values[voters.indexOf(id)] ?? 0);
        const count = (least: number) => values.filter((value) => value >= least).length;
        expect(count(reached)).toBeGreaterThanOrEqual(quorumSize(values.length));
        expect(count(reached + 1)).toBeLessThan(quorumSize(values.length));
      }),
    );
  });

  it("of nobody has reached nothing", () => {
    expect(reachedByQuorum(new Set(), () => 7)).toBe(0);
  });

  it("wins, loses or waits, and never counts those without a vote", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(true, false, undefined), { minLength: 1, maxLength: 7 }), (answers) => {
        const voters = ids(answers.length);
        const votes = new Map<NodeId, boolean>([[99n as NodeId, true]]);
        for (const [i, id] of voters.entries()) {
          const answer = answers[i];
          if (answer !== undefined) votes.set(id, answer);
        }
        const granted = answers.filter((answer) => answer === true).length;
        const refused = answers.filter((answer) => answer === false).length;
        const majority = answers.length / 2;
        const expected = granted > majority ? "won" : refused >= majority ? "lost" : "pending";
        expect(voteResult(new Set(voters), votes)).toBe(expected);
      }),
    );
  });
});

describe("a membership change", () => {
  it.each(["addVoter", "addLearner", "remove"] as const)(
    "%s comes back from its entry with the edge's context",
    (type) => {
      const change = { type, node: 0xfedc_ba98_7654_3210n as NodeId };
      expect(decodeConfChange(encodeConfChange(change, Uint8Array.of(1, 2)))).toEqual({
        change,
        context: Uint8Array.of(1, 2),
      });
    },
  );

  it("of a kind that this store does not know is refused, and bytes that are none throw", () => {
    const update = ConfChange.encode({
      id: 0n,
      nodeId: 1n,
      type: ConfChangeType.ConfChangeUpdateNode,
      context: new Uint8Array(0),
    }).finish();
    expect(decodeConfChange(update)).toBeUndefined();
    expect(() => decodeConfChange(Uint8Array.of(0xff, 0xff))).toThrow(/invalid|range|premature|varint/);
  });

  it("moves a member between voters and learners, never into both", () => {
    const [one, two, three] = ids(3) as [NodeId, NodeId, NodeId];
    const membership = new Membership({ voters: [two, one], learners: [] });
    membership.apply({ type: "addLearner", node: three });
    expect(membership.state()).toEqual({ voters: [one, two], learners: [three] });
    membership.apply({ type: "addVoter", node: three });
    membership.apply({ type: "addLearner", node: one });
    expect(membership.state()).toEqual({ voters: [two, three], learners: [one] });
    membership.apply({ type: "remove", node: one });
    expect(membership.state()).toEqual({ voters: [two, three], learners: [] });
    expect(() => new Membership({ voters: [one], learners: [one] })).toThrow("a voter or a learner, not both");
  });
});
