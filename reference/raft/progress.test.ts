import { describe, expect, it } from "vitest";
import { Inflights, Progress } from "./progress.ts";
import type { Index } from "./types.ts";

function at(index: number): Index {
  return index as Index;
}

describe("the window of appends under way", () => {
  it("goes round, and an acknowledgement frees all up to it", () => {
    const window = new Inflights(3);
    for (let round = 0; round < 5; round++) {
      for (const last of [1, 2, 3]) window.add(at(round * 10 + last));
      expect(window.full).toBe(true);
      window.freeUpTo(at(round * 10 + 2));
      expect(window.count).toBe(1);
      window.freeUpTo(at(round * 10 + 9));
      expect(window.count).toBe(0);
    }
  });

  it("refuses more than it holds, and a size of nothing", () => {
    const window = new Inflights(1);
    window.add(at(1));
    expect(() => window.add(at(2))).toThrow("no append is sent past the window");
    expect(() => new Inflights(0)).toThrow("at least one append");
  });
});

describe("what a leader knows of a follower", () => {
  it("probes with one append until it hears", () => {
    const progress = new Progress(at(5), 4);
    expect(progress.appendDue(at(4), at(4))).toBe(true);
    progress.sent(at(4), 0, at(4));
    expect(progress.appendDue(at(9), at(4))).toBe(false);
  });

  it("goes back by the follower's hint, never before what matches", () => {
    const progress = new Progress(at(10), 4);
    expect(progress.refuse(at(9), at(5))).toBe(true);
    expect(progress.next).toBe(6);
    expect(progress.refuse(at(5), at(5))).toBe(true);
    expect(progress.next).toBe(5);
    progress.acknowledge(at(4));
    expect(progress.refuse(at(9), at(1))).toBe(false);
    expect(progress.next).toBe(5);
  });

  it("runs ahead while it replicates, and falls back to what matches when refused", () => {
    const progress = new Progress(at(1), 2);
    progress.acknowledge(at(3));
    progress.becomeReplicate();
    progress.sent(at(5), 2, at(0));
    progress.sent(at(6), 1, at(0));
    expect([progress.next, progress.inflights.full]).toEqual([7, true]);
    expect(progress.refuse(at(2), at(0))).toBe(false);
    expect(progress.refuse(at(5), at(3))).toBe(true);
    expect([progress.state, progress.next, progress.inflights.count]).toEqual(["probe", 4, 0]);
  });

  it("tells a commit index once", () => {
    const progress = new Progress(at(1), 2);
    progress.acknowledge(at(3));
    progress.becomeReplicate();
    expect(progress.appendDue(at(3), at(2))).toBe(true);
    progress.sent(at(3), 0, at(2));
    expect(progress.appendDue(at(3), at(2))).toBe(false);
    expect(progress.appendDue(at(3), at(3))).toBe(true);
  });

  it("sends nothing while a snapshot is under way, and goes on after it", () => {
    const progress = new Progress(at(1), 2);
    progress.becomeSnapshot(at(8));
    expect(progress.appendDue(at(9), at(9))).toBe(false);
    expect(progress.refuse(at(0), at(0))).toBe(false);
    progress.becomeProbe();
    expect(progress.next).toBe(9);
  });

  it("asks once a tick, however many read rounds come back, whether appends were lost", () => {
    const progress = new Progress(at(1), 4);
    progress.becomeReplicate();
    progress.sent(at(2), 2, at(0));
    const asked = [1, 2, 3].map(() => {
      progress.heardOf(at(2));
      const due = progress.appendDue(at(2), at(0));
      progress.sent(at(2), 0, at(0));
      return due;
    });
    expect(asked).toEqual([true, false, false]);
    progress.stirred = false;
    progress.acknowledge(at(1));
    progress.heardOf(at(2));
    expect(progress.appendDue(at(2), at(0))).toBe(false);
  });
});
