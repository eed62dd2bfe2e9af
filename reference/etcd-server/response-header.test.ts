import { expect, test } from "vitest";
import type { ResponseHeader } from "../../api/etcd/gen/rpc.ts";
import type { Member } from "./member.ts";
import { completed } from "./response-header.ts";

/** A member whose store has moved on to revision 9 since the request was applied at 7. */
const member = {
  header: (revision = 9) => ({ clusterId: 1n, memberId: 2n, revision: BigInt(revision), raftTerm: 3n }),
} as unknown as Member;

test("an answer keeps the revision it was applied at, whatever was written before it was sent", () => {
  const applied = { header: { clusterId: 0n, memberId: 0n, revision: 7n, raftTerm: 0n } };
  expect(completed(member, applied).header).toEqual({ clusterId: 1n, memberId: 2n, revision: 7n, raftTerm: 3n });
});

test("an answer that apply gave no revision takes the present one", () => {
  const answer: { header: ResponseHeader | undefined } = { header: undefined };
  expect(completed(member, answer).header?.revision).toBe(9n);
});
