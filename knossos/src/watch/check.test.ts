import { describe, expect, test } from "vitest";
import type { Stream } from "../history.ts";
import type { EtcdKv, WatchEvent, WatchInput, WatchMessage } from "../models/etcd-types.ts";
import { checkWatches } from "./check.ts";

const kv = (key: string, modRevision: number, version = 1, createRevision = modRevision - version + 1): EtcdKv => ({
  key,
  value: `${key}${modRevision}`,
  createRevision,
  modRevision,
  version,
});
const put = (key: string, modRevision: number, version = 1, prevKv?: EtcdKv): WatchEvent => ({
  type: "put",
  kv: kv(key, modRevision, version),
  ...(prevKv === undefined ? {} : { prevKv }),
});
const gone = (key: string, modRevision: number, prevKv?: EtcdKv): WatchEvent => ({
  type: "delete",
  kv: { key, value: "", createRevision: 0, modRevision, version: 0 },
  ...(prevKv === undefined ? {} : { prevKv }),
});
const told = (...events: readonly WatchEvent[]): WatchMessage => ({
  revision: Math.max(...events.map((event) => event.kv.modRevision)),
  events,
});
const progress = (revision: number): WatchMessage => ({ revision, progress: true, events: [] });

function watch(stream: number, input: Partial<WatchInput>, ...messages: readonly WatchMessage[]): Stream {
  const created: WatchMessage = { revision: 1, created: true, events: [] };
  return {
    stream,
    process: stream,
    input: { f: "watch", key: "a", rangeEnd: "z", startRevision: 1, ...input },
    opened: stream,
    messages: [created, ...messages].map((message, time) => ({ time, message: message as never })),
  };
}

const kinds = (...streams: readonly Stream[]) => checkWatches(streams).findings.map((finding) => finding.kind);

describe("one watch", () => {
  test("a true one is valid", () => {
    expect(
      checkWatches([
        watch(
          0,
          { prevKv: true },
          told(put("a", 2)),
          told(put("a", 3, 2, kv("a", 2)), put("b", 3)),
          progress(4),
          told(gone("a", 5, kv("a", 3, 2))),
          told(put("a", 6)),
        ),
      ]).valid,
    ).toBe(true);
  });
  test.each<[string, readonly Stream[]]>([
    ["reordered", [watch(0, {}, told(put("a", 3)), told(put("b", 2)))]],
    ["duplicate-event", [watch(0, {}, told(put("a", 3)), told(put("a", 3)))]],
    ["split-revision", [watch(0, {}, told(put("a", 3)), told(put("b", 3)))]],
    ["unfiltered", [watch(0, { rangeEnd: "b" }, told(put("b", 3)))]],
    ["unfiltered", [watch(0, { noPut: true }, told(put("b", 3)))]],
    ["unfiltered", [watch(0, { noDelete: true }, told(gone("b", 3)))]],
    ["too-early", [watch(0, { startRevision: 5 }, told(put("b", 3)))]],
    ["header-behind", [watch(0, {}, { revision: 2, events: [put("b", 3)] })]],
    ["progress-ahead", [watch(0, {}, progress(4), told(put("b", 3)))]],
    ["progress-behind", [watch(0, {}, told(put("b", 3)), progress(2))]],
    ["impossible-record", [watch(0, {}, told({ type: "put", kv: kv("a", 4, 1, 2) }))]],
    ["lost-event", [watch(0, {}, told(put("a", 2)), told(put("a", 5, 3, undefined)))]],
    ["lost-event", [watch(0, {}, told(put("a", 2)), told(put("a", 5)))]],
    ["lost-event", [watch(0, {}, told(gone("a", 2)), told(gone("a", 5)))]],
    ["wrong-prev-kv", [watch(0, { prevKv: true }, told(put("a", 2)), told(gone("a", 5, kv("a", 4))))]],
    ["wrong-prev-kv", [watch(0, { prevKv: true }, told(put("a", 5, 1, kv("a", 4))))]],
    [
      "dishonest-compaction",
      [watch(0, { startRevision: 9 }, { revision: 9, canceled: true, compactRevision: 5, events: [] })],
    ],
    ["message-after-cancel", [watch(0, {}, { revision: 9, canceled: true, events: [] }, told(put("a", 10)))]],
  ])("%s is found", (kind, streams) => {
    expect(kinds(...streams)).toContain(kind);
  });
  test("fragments may part a revision, an honest compaction may end a watch", () => {
    expect(kinds(watch(0, {}, { ...told(put("a", 3)), fragment: true }, told(put("b", 3))))).toEqual([]);
    expect(
      kinds(watch(0, { startRevision: 2 }, { revision: 9, canceled: true, compactRevision: 5, events: [] })),
    ).toEqual([]);
  });
  test("without deletions in sight a key may begin anew", () => {
    expect(kinds(watch(0, { noDelete: true }, told(put("a", 2)), told(put("a", 5))))).toEqual([]);
  });
});

describe("a watch that resumes", () => {
  test("goes on from the next revision with what was known", () => {
    expect(
      kinds(watch(0, {}, told(put("a", 2))), watch(1, { resumes: 0, startRevision: 3 }, told(put("a", 3, 2)))),
    ).toEqual([]);
    expect(
      kinds(watch(0, {}, told(put("a", 2))), watch(1, { resumes: 0, startRevision: 3 }, told(put("a", 6, 4)))),
    ).toContain("lost-event");
    expect(kinds(watch(0, {}, told(put("a", 2))), watch(1, { resumes: 0, startRevision: 9 }))).toContain("resume-gap");
  });
});

describe("watches among each other", () => {
  test("what one was told, another that covers it must be told too", () => {
    const verdict = checkWatches([watch(0, {}, told(put("a", 2)), told(put("b", 3))), watch(1, {}, told(put("b", 3)))]);
    expect(verdict.findings).toMatchObject([{ kind: "lost-event", streams: [1, 0] }]);
    expect(kinds(watch(0, {}, told(put("a", 2)), told(put("b", 3))), watch(1, {}, progress(4)))).toEqual([
      "lost-event",
      "lost-event",
    ]);
    // Not covered: it came no further, or does not watch it.
    expect(
      kinds(watch(0, {}, told(put("a", 2)), told(put("b", 3))), watch(1, {}), watch(2, { key: "c" }, progress(4))),
    ).toEqual([]);
  });
  test("they must be told the same", () => {
    expect(
      kinds(
        watch(0, {}, told(put("a", 2))),
        watch(1, {}, told({ type: "put", kv: { ...kv("a", 2), value: "other" } })),
      ),
    ).toEqual(["disagreeing-events"]);
  });
  test("no answer at all is unknown", () => {
    expect(checkWatches([{ ...watch(0, {}), messages: [] }]).valid).toBe("unknown");
  });
});
