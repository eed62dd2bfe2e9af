import { expect, test } from "vitest";
import fc from "fast-check";
import * as pb from "../../api/etcd/gen/raft.ts";
import type { Index, Message, NodeId, Term } from "../raft/types.ts";
import { decodeRaftMessage, encodeRaftMessage, RaftCodecError } from "./raft-codec.ts";

const runs = 200 * Number(process.env["SEATRIAL_RUNS"] ?? 1);
const id = fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn }).map((n) => n as NodeId);
const index = fc.oneof(fc.nat(), fc.maxSafeNat()).map((n) => n as Index);
const term = fc.oneof(fc.nat(), fc.maxSafeNat()).map((n) => n as Term);
const bytes = fc.uint8Array({ maxLength: 300 });
const entry = fc.record({ type: fc.constantFrom("normal" as const, "confChange" as const), term, index, data: bytes });
const snapshot = fc.record({ index, term, confState: fc.record({ voters: fc.array(id), learners: fc.array(id) }) });
const message = fc
  .record({
    type: fc.constantFrom(
      "append" as const,
      "appendResponse" as const,
      "preVote" as const,
      "heartbeat" as const,
      "readIndexResponse" as const,
      "snapshot" as const,
    ),
    to: id,
    from: id,
    term,
    logTerm: term,
    index,
    entries: fc.array(entry, { maxLength: 5 }),
    commit: index,
    reject: fc.boolean(),
    rejectHint: index,
    snapshot: fc.option(snapshot, { nil: undefined }),
    context: fc.option(bytes, { nil: undefined }),
  })
  .map(({ snapshot: s, context: c, ...rest }): Message => ({
    ...rest,
    ...(s && { snapshot: s }),
    ...(c && { context: c }),
  }));

test("what is encoded decodes to the same message", () => {
  fc.assert(
    fc.property(message, (m) => void expect(decodeRaftMessage(encodeRaftMessage(m))).toEqual(m)),
    { numRuns: runs },
  );
});

test("the generated raftpb codec reads it, and what that writes is read back", () => {
  fc.assert(
    fc.property(message, (m) => {
      const decoded = pb.Message.decode(encodeRaftMessage(m));
      expect(decoded.to).toBe(m.to);
      expect(decoded.from).toBe(m.from);
      expect(decoded.index).toBe(BigInt(m.index ?? 0));
      expect(decoded.entries.map((e) => [e.term, e.index, e.type, Buffer.from(e.data)])).toEqual(
        (m.entries ?? []).map((e) => [
          BigInt(e.term),
          BigInt(e.index),
          e.type === "normal" ? 0 : 1,
          Buffer.from(e.data),
        ]),
      );
      expect(decoded.snapshot?.metadata?.confState?.voters ?? []).toEqual(m.snapshot?.confState.voters ?? []);
      expect(decodeRaftMessage(pb.Message.encode(decoded).finish())).toEqual(
        m.context === undefined || m.context.length > 0 ? m : { ...m, context: undefined },
      );
    }),
    { numRuns: runs },
  );
});

test("a cut message, an unknown type and an oversized index are refused", () => {
  const whole = encodeRaftMessage({
    type: "append",
    to: 1n as NodeId,
    from: 2n as NodeId,
    term: 3 as Term,
    entries: [{ type: "normal", term: 3 as Term, index: 4 as Index, data: Buffer.from("abc") }],
  });
  expect(() => decodeRaftMessage(whole.subarray(0, whole.length - 2))).toThrow(RaftCodecError);
  expect(() => decodeRaftMessage(Buffer.from([0x08, 0x63]))).toThrow("unknown type 99");
  expect(() => decodeRaftMessage(Buffer.alloc(0))).toThrow("without a type");
  expect(() =>
    decodeRaftMessage(pb.Message.encode(pb.Message.fromPartial({ type: 3, index: 2n ** 60n })).finish()),
  ).toThrow("2^53");
});
