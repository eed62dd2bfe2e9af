import { describe, expect, test } from "vitest";
import { ABOVE_ALL_KEYS } from "./key-text.ts";
import { KeyIndex } from "./key-index.ts";

/** etcd's own example (`key_index.go`): put 1, put 2, delete 3, put 4, delete 5, then a put at 6 that keeps the key. */
function example(): KeyIndex {
  const index = new KeyIndex();
  index.put("foo", 1, 0);
  index.put("foo", 2, 0);
  index.tombstone("foo", 3, 0);
  index.put("foo", 4, 0);
  index.tombstone("foo", 5, 0);
  return index;
}

function compacted(at: number, index = example()): { dropped: string[]; index: KeyIndex } {
  const dropped: string[] = [];
  index.compact("foo", at, (main, sub, tombstone) => dropped.push(`${main}.${sub}${tombstone ? "t" : ""}`));
  return { dropped, index };
}

describe("generations", () => {
  test("a key is what its generation says at that revision, and nothing in the gaps between two", () => {
    const index = example();
    expect([1, 2, 3, 4, 5, 6].map((at) => index.get("foo", at)?.main)).toEqual([
      1,
      2,
      undefined,
      4,
      undefined,
      undefined,
    ]);
    expect(index.get("foo", 2)).toEqual({ main: 2, sub: 0, created: 1, version: 2 });
    expect(index.get("foo", 4)).toEqual({ main: 4, sub: 0, created: 4, version: 1 });
    expect(index.get("foo", 0)).toBeUndefined();
    expect(index.get("bar", 4)).toBeUndefined();
  });

  test("a key that does not exist cannot be deleted", () => {
    const index = example();
    expect(index.tombstone("foo", 6, 0)).toBe(false);
    expect(index.tombstone("bar", 6, 0)).toBe(false);
  });

  test("several changes in one revision: the last one counts, and a key can come back in the revision that deleted it", () => {
    const index = new KeyIndex();
    index.put("k", 2, 0);
    index.put("k", 2, 1);
    expect(index.get("k", 2)).toEqual({ main: 2, sub: 1, created: 2, version: 2 });
    index.tombstone("k", 3, 0);
    index.put("k", 3, 1);
    expect(index.get("k", 3)).toEqual({ main: 3, sub: 1, created: 3, version: 1 });
  });

  test("revisions of a key only grow", () => {
    const index = example();
    expect(() => index.put("foo", 4, 0)).not.toThrow();
    expect(() => index.put("foo", 3, 9)).toThrow("only grow");
    expect(() => index.put("foo", 4, 0)).toThrow("only grow");
  });
});

describe("compaction keeps what etcd keeps", () => {
  test.each([
    [1, []],
    [2, ["1.0"]],
    // A tombstone at exactly the compacted revision stays.
    [3, ["1.0", "2.0"]],
    [4, ["1.0", "2.0", "3.0t"]],
    [5, ["1.0", "2.0", "3.0t", "4.0"]],
    [6, ["1.0", "2.0", "3.0t", "4.0", "5.0t"]],
  ])("at %i it drops %j", (at, expected) => {
    expect(compacted(at).dropped).toEqual(expected);
  });

  test("a key with nothing left leaves the index", () => {
    const { index } = compacted(6);
    expect(index.size).toBe(0);
    expect(index.anyAt(4)).toBe(false);
    index.put("foo", 7, 0);
    expect(index.get("foo", 7)?.version).toBe(1);
  });

  test("versions count what was compacted too", () => {
    const index = new KeyIndex();
    for (let main = 1; main <= 5; main++) index.put("foo", main, 0);
    expect(compacted(4, index).dropped).toEqual(["1.0", "2.0", "3.0"]);
    expect(index.get("foo", 5)).toEqual({ main: 5, sub: 0, created: 1, version: 5 });
    expect(index.get("foo", 4)).toEqual({ main: 4, sub: 0, created: 1, version: 4 });
  });

  test("what would be kept is known without compacting", () => {
    const index = example();
    const kept = (at: number): number[] => [1, 2, 3, 4, 5].filter((main) => index.keptByCompaction("foo", at, main, 0));
    expect(kept(2)).toEqual([2, 3, 4, 5]);
    expect(kept(3)).toEqual([3, 4, 5]);
    expect(kept(5)).toEqual([5]);
    expect(kept(6)).toEqual([]);
    expect(index.keptByCompaction("bar", 6, 1, 0)).toBe(false);
  });

  test("an index restored from what a compaction left is the same", () => {
    const { index } = compacted(3);
    const restored = new KeyIndex();
    restored.restore("foo", 3, 0, "tombstone");
    restored.restore("foo", 4, 0, { created: 4, version: 1 });
    restored.restore("foo", 5, 0, "tombstone");
    for (const at of [3, 4, 5]) expect(restored.get("foo", at)).toEqual(index.get("foo", at));
  });
});

describe("ranges", () => {
  const index = new KeyIndex();
  for (const [i, key] of ["a", "b", "b\0", "c", "\xff"].entries()) index.put(key, i + 2, 0);
  index.tombstone("c", 9, 0);
  const visit = (low: string, high: string, at: number, stopAt = 99): string[] => {
    const seen: string[] = [];
    index.visit({ low, high, single: false }, at, (key) => seen.push(key) < stopAt);
    return seen;
  };

  test("visits in byte order what exists then, until told to stop", () => {
    expect(visit("", ABOVE_ALL_KEYS, 10)).toEqual(["a", "b", "b\0", "\xff"]);
    expect(visit("b", "c", 10)).toEqual(["b", "b\0"]);
    expect(visit("b", ABOVE_ALL_KEYS, 5)).toEqual(["b", "b\0", "c"]);
    expect(visit("a", ABOVE_ALL_KEYS, 10, 2)).toEqual(["a", "b"]);
    expect(visit("c", "a", 10)).toEqual([]);
  });

  test("counts", () => {
    expect(index.count({ low: "", high: ABOVE_ALL_KEYS, single: false }, 8)).toBe(5);
    expect(index.count({ low: "c", high: "c", single: true }, 8)).toBe(1);
    expect(index.count({ low: "c", high: "c", single: true }, 9)).toBe(0);
  });
});
