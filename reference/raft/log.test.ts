import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RaftLog } from "./log.ts";
import { encodeConfChange } from "./membership.ts";
import type { Entry, Index, NodeId, Term } from "./types.ts";

function entry(
  index: number,
  term: number,
  type: Entry["type"] = "normal",
  data: Uint8Array = new Uint8Array(0),
): Entry {
  return { index: index as Index, term: term as Term, type, data };
}

/** A log after `snapshot` with one entry for each term. */
function logOf(
  terms: readonly number[],
  more: { snapshot?: number; snapshotTerm?: number; commit?: number; applied?: number } = {},
): RaftLog {
  const index = (more.snapshot ?? 0) as Index;
  return new RaftLog({
    snapshot: { index, term: (more.snapshotTerm ?? 0) as Term },
    entries: terms.map((term, i) => entry(index + i + 1, term)),
    commit: (more.commit ?? 0) as Index,
    applied: (more.applied ?? 0) as Index,
  });
}

function termsOf(log: RaftLog): (Term | undefined)[] {
  return Array.from({ length: log.lastIndex - log.snapshotIndex }, (_, i) => log.term((log.firstIndex + i) as Index));
}

describe("a log that contradicts itself is refused", () => {
  it("with a gap", () => {
    const start = { snapshot: { index: 0 as Index, term: 0 as Term }, commit: 0 as Index, applied: 0 as Index };
    expect(() => new RaftLog({ ...start, entries: [entry(1, 1), entry(3, 1)] })).toThrow(
      "log entry 2 is followed by 3",
    );
  });

  it("shorter than what is committed or applied", () => {
    expect(() => logOf([1, 1], { commit: 3 })).toThrow("the log ends at 2, before 3 which is committed");
    expect(() => logOf([1, 1], { applied: 3 })).toThrow("the log ends at 2, before 3 which is committed");
  });
});

describe("appendAfter", () => {
  it.each([
    { name: "appends", have: [1, 1], after: 2, add: [2], expected: [1, 1, 2] },
    { name: "keeps what it has", have: [1, 1, 2], after: 1, add: [1], expected: [1, 1, 2] },
    { name: "cuts off at the first conflict", have: [1, 1, 1, 1], after: 1, add: [1, 2], expected: [1, 1, 2] },
    { name: "does nothing with nothing", have: [1], after: 1, add: [], expected: [1] },
  ])("$name", ({ have, after, add, expected }) => {
    const log = logOf(have);
    const last = log.appendAfter(
      after as Index,
      add.map((term, i) => entry(after + 1 + i, term)),
    );
    expect(termsOf(log)).toEqual(expected);
    expect(last).toBe(after + add.length);
  });

  it("never overwrites what is committed", () => {
    expect(() => logOf([1, 1, 1], { commit: 2 }).appendAfter(1 as Index, [entry(2, 2)])).toThrow(
      "entry 2 is committed and would be overwritten",
    );
  });
});

it("the hint search agrees with a walk through the log", () => {
  const rising = fc.array(fc.nat({ max: 4 }), { maxLength: 12 }).map((steps) => {
    let term = 1;
    return steps.map((step) => (term += step > 2 ? step - 2 : 0));
  });
  fc.assert(
    fc.property(
      rising,
      fc.nat({ max: 3 }),
      fc.nat({ max: 20 }),
      fc.nat({ max: 12 }),
      (terms, snapshot, index, term) => {
        const log = logOf(terms, { snapshot, snapshotTerm: snapshot === 0 ? 0 : 1 });
        let expected = Math.min(index, log.lastIndex);
        while (expected > snapshot && (log.term(expected as Index) ?? 0) > term) expected--;
        expect(log.lastOfTermAtMost(index as Index, term as Term)).toBe(expected);
      },
    ),
  );
});

it("a slice holds one entry at least, then as many as fit", () => {
  const log = logOf([]);
  for (let i = 1; i <= 4; i++) log.append(entry(i, 1, "normal", new Uint8Array(10)));
  const lengths = [1, 10, 25, 1000].map((maxBytes) => log.slice(1 as Index, log.lastIndex, maxBytes).length);
  expect(lengths).toEqual([1, 1, 2, 4]);
  expect(log.slice(5 as Index, log.lastIndex, 1000)).toEqual([]);
});

describe("what is handed out", () => {
  it("is written once, and applied once it is durable and committed", () => {
    const log = logOf([]);
    log.append(entry(1, 1));
    log.append(entry(2, 1));
    expect(log.takeUnwritten().map((e) => e.index)).toEqual([1, 2]);
    expect(log.takeUnwritten()).toEqual([]);
    log.commitTo(2 as Index);
    expect(log.takeCommitted()).toEqual([]);
    log.unstable.acknowledge(2 as Index, 1 as Term);
    expect(log.takeCommitted().map((e) => e.index)).toEqual([1, 2]);
    expect(log.takeCommitted()).toEqual([]);
  });

  it("may not be reported as applied, or compacted, before", () => {
    const log = logOf([1, 1, 1], { commit: 2 });
    log.takeCommitted();
    expect(() => log.appliedTo(3 as Index)).toThrow("only entries up to 2 were handed out");
    log.appliedTo(1 as Index);
    expect(() => log.compact(2 as Index)).toThrow("only entries up to 1 are applied");
    log.compact(1 as Index);
    expect([log.firstIndex, log.lastIndex, log.term(1 as Index)]).toEqual([2, 3, 1]);
  });

  it("does not repeat what was applied before a restart, even if the commit index was forgotten", () => {
    const log = logOf([1, 1, 1], { commit: 1, applied: 2 });
    expect(log.committed).toBe(2);
    expect(log.takeCommitted()).toEqual([]);
    log.commitTo(3 as Index);
    expect(log.takeCommitted().map((e) => e.index)).toEqual([3]);
  });
});

it("a second membership change shows that the first is committed, though a torn write lost the commit index", () => {
  const change = encodeConfChange({ type: "addVoter", node: 4n as NodeId }, new Uint8Array(0));
  const changes = [2, 4];
  const entries = [1, 2, 3, 4, 5].map((index) =>
    entry(index, 1, changes.includes(index) ? "confChange" : "normal", change),
  );
  const start = { snapshot: { index: 0 as Index, term: 0 as Term }, commit: 0 as Index, applied: 0 as Index };
  expect(new RaftLog({ ...start, entries }).committed).toBe(2);
  expect(new RaftLog({ ...start, entries: entries.slice(0, 3) }).committed).toBe(0);
});

it("what a conflict cuts off is no longer durable", () => {
  const log = logOf([1, 1, 1]);
  expect(log.unstable.durable).toBe(3);
  log.appendAfter(1 as Index, [entry(2, 2)]);
  expect(log.unstable.durable).toBe(1);
});

describe("an acknowledgement", () => {
  /** Entry 2 of term 1 is handed to the disk, replaced by term 2's, and that again by the same entry of term 1. */
  function overwrittenTwice(): RaftLog {
    const log = logOf([1]);
    for (const term of [1, 2, 1]) {
      log.appendAfter(1 as Index, [entry(2, term)]);
      log.takeUnwritten();
    }
    return log;
  }

  it("of a write that later ones undo does not count", () => {
    const log = overwrittenTwice();
    expect(log.unstable.durable).toBe(1);
    log.unstable.acknowledge(2 as Index, 1 as Term);
    expect(log.unstable.durable).toBe(1);
    log.unstable.acknowledge(2 as Index, 2 as Term);
    expect(log.unstable.durable).toBe(1);
    log.unstable.acknowledge(2 as Index, 1 as Term);
    expect(log.unstable.durable).toBe(2);
  });

  it("of several writes at once is that of the last", () => {
    const log = logOf([]);
    for (const index of [1, 2, 3]) {
      log.append(entry(index, 1));
      log.takeUnwritten();
    }
    expect(log.unstable.acknowledge(3 as Index, 1 as Term)).toBe(true);
    expect(log.unstable.durable).toBe(3);
  });

  it.each([
    [9, 1],
    [1, 9],
    [0, 0],
  ])("of nothing that was written (%i, %i) is ignored", (index, term) => {
    const log = logOf([]);
    log.append(entry(1, 1));
    log.takeUnwritten();
    expect(log.unstable.acknowledge(index as Index, term as Term)).toBe(false);
    expect(log.unstable.durable).toBe(0);
  });

  it("of a snapshot that a newer one replaced installs nothing", () => {
    const log = logOf([1]);
    const confState = { voters: [1n as NodeId], learners: [] };
    log.restore({ index: 5 as Index, term: 1 as Term, confState });
    log.restore({ index: 7 as Index, term: 1 as Term, confState });
    expect(log.snapshotInstalled(5 as Index)).toBeUndefined();
    expect(log.applied).toBe(0);
    expect(log.snapshotInstalled(7 as Index)?.index).toBe(7);
    expect(log.applied).toBe(7);
  });
});
