import { decodeFromCompressedBase64 } from "hdr-histogram-js";
import { describe, expect, test } from "vitest";
import { longestGapNs, SuccessTimes } from "./availability.ts";
import { createLatencyBook, type LatencySample, mergeLatencyRows } from "./latency.ts";

const MS = 1_000_000;
const sample = (
  kind: string,
  fromMs: number,
  tookMs: number,
  outcome: LatencySample["outcome"] = "ok",
): LatencySample => ({ suite: "etcd/kv", kind, outcome, intendedNs: fromMs * MS, returnedNs: (fromMs + tookMs) * MS });
const whole = { begin: 0, end: 10_000 * MS };

function latencyRows(samples: readonly LatencySample[]) {
  const book = createLatencyBook();
  for (const one of samples) book.record(one);
  const [latency] = book.finish([], whole);
  if (latency?.type !== "latency") throw new Error("no latency line");
  return latency.rows;
}

test("latency runs from the intended start: a stall is felt by each operation that it kept from starting", () => {
  // A second's stall under one operation every 10 ms: measured from the actual start, 99 of these would look like 1 ms.
  const stalled = Array.from({ length: 100 }, (_, index): LatencySample => ({
    suite: "s",
    kind: "put",
    outcome: "ok",
    intendedNs: index * 10 * MS,
    returnedNs: 1_000 * MS + index * MS,
  }));
  const [row] = latencyRows(stalled);
  expect(row?.p50).toBeGreaterThan(500_000);
  expect(row?.max).toBeGreaterThan(999_000);
});

test("percentiles are of the recorded values, within three digits, in microseconds", () => {
  const rows = latencyRows(Array.from({ length: 1_000 }, (_, index) => sample("put", index, index + 1)));
  expect(rows).toHaveLength(1);
  const [row] = rows;
  if (row === undefined) throw new Error("no row");
  expect(row).toMatchObject({ suite: "etcd/kv", kind: "put", outcome: "ok", count: 1_000 });
  for (const [told, truly] of [
    [row.p50, 500_000],
    [row.p90, 900_000],
    [row.p99, 990_000],
    [row.p999, 999_000],
    [row.max, 1_000_000],
  ] as const)
    expect(Math.abs(told - truly) / truly).toBeLessThan(0.001);
});

test("kinds and outcomes are kept apart", () => {
  const rows = latencyRows([
    sample("put", 0, 1),
    sample("range", 0, 2),
    sample("put", 0, 3, "info"),
    sample("put", 0, 4, "fail"),
  ]);
  expect(rows.map((row) => [row.kind, row.outcome, row.count])).toEqual([
    ["put", "ok", 1],
    ["range", "ok", 1],
    ["put", "info", 1],
    ["put", "fail", 1],
  ]);
});

test("rows are merged through their histograms: percentiles of halves are not the percentile of the whole", () => {
  const fast = latencyRows(Array.from({ length: 990 }, () => sample("put", 0, 1)));
  const slow = latencyRows(Array.from({ length: 110 }, () => sample("put", 0, 100)));
  const together = latencyRows([
    ...Array.from({ length: 990 }, () => sample("put", 0, 1)),
    ...Array.from({ length: 110 }, () => sample("put", 0, 100)),
  ]);
  const [merged] = mergeLatencyRows([...fast, ...slow]);
  expect(merged).toMatchObject({
    count: 1_100,
    p50: together[0]?.p50,
    p90: together[0]?.p90,
    p99: together[0]?.p99,
    max: together[0]?.max,
  });
  expect(merged?.p90).toBeLessThan(2_000);
  expect(merged?.p99).toBeGreaterThan(99_000);
  expect(mergeLatencyRows([...fast, ...latencyRows([sample("range", 0, 1)])])).toHaveLength(2);
});

test("no percentile lies above the largest value", () => {
  const [row] = latencyRows([sample("put", 0, 21.834)]);
  expect(row).toMatchObject({ p50: 21_834, p99: 21_834, max: 21_834 });
});

test("the histogram can be read back", () => {
  const [row] = latencyRows([sample("put", 0, 5), sample("put", 0, 7)]);
  const histogram = decodeFromCompressedBase64(row?.histogram ?? "");
  expect(histogram.totalCount).toBe(2);
  expect(Math.abs(histogram.getValueAtPercentile(50) - (row?.p50 ?? 0))).toBeLessThan(5);
});

test("what took longer than an hour, or came back before it should have begun, is bounded", () => {
  const [row] = latencyRows([sample("put", 0, 7_200_000), { ...sample("put", 0, 0), intendedNs: 5, returnedNs: 0 }]);
  expect(row?.max).toBeGreaterThan(3_590_000_000);
  expect(row?.count).toBe(2);
});

test("a slice holds what came since the last one", () => {
  const book = createLatencyBook({ beginNs: 0 });
  book.record(sample("put", 10, 2));
  book.record(sample("put", 20, 2_000, "info"));
  expect(book.slice(1_000 * MS)).toEqual({
    type: "slice",
    time: 0,
    widthNs: 1_000 * MS,
    rows: [{ suite: "etcd/kv", kind: "put", ok: 1, fail: 0, info: 1, p50: 2_000, p99: 2_000, max: 2_000 }],
  });
  book.record(sample("range", 1_100, 3, "fail"));
  expect(book.slice(2_500 * MS)).toEqual({
    type: "slice",
    time: 1_000 * MS,
    widthNs: 1_500 * MS,
    rows: [{ suite: "etcd/kv", kind: "range", ok: 0, fail: 1, info: 0, p50: 0, p99: 0, max: 0 }],
  });
  expect(book.slice(3_500 * MS)).toEqual({ type: "slice", time: 2_500 * MS, widthNs: 1_000 * MS, rows: [] });
});

describe("availability", () => {
  const availability = (
    samples: readonly LatencySample[],
    faults: Parameters<ReturnType<typeof createLatencyBook>["finish"]>[0] = [],
  ) => {
    const book = createLatencyBook();
    for (const one of samples) book.record(one);
    const line = book.finish(faults, whole)[1];
    if (line?.type !== "availability") throw new Error("no availability line");
    return line;
  };

  test("is the longest time without a success, over the load and within each fault", () => {
    const samples = [
      sample("put", 1_000, 0),
      sample("put", 2_000, 0),
      sample("put", 3_000, 0, "info"),
      sample("put", 6_500, 0),
      sample("put", 9_900, 0),
    ];
    const fault = (id: number, injectedMs: number, healedMs: number) => ({
      id,
      fault: "kill",
      injectedAt: injectedMs * MS,
      healedAt: healedMs * MS,
    });
    expect(availability(samples, [fault(0, 0, 1_500), fault(1, 1_500, 4_000), fault(2, 7_000, 8_000)])).toEqual({
      type: "availability",
      longestGapNs: 4_500 * MS,
      perFault: [
        { id: 0, fault: "kill", longestGapNs: 1_000 * MS },
        { id: 1, fault: "kill", longestGapNs: 2_000 * MS },
        { id: 2, fault: "kill", longestGapNs: 1_000 * MS },
      ],
    });
  });

  test("without any success it is the whole time", () =>
    expect(availability([sample("put", 1, 1, "fail")]).longestGapNs).toBe(10_000 * MS));

  test("what one member can answer alone does not count", () => {
    expect(
      availability([sample("range-serializable", 5_000, 0), sample("lease-keepalive", 5_000, 0)]).longestGapNs,
    ).toBe(10_000 * MS);
    expect(availability([sample("range", 5_000, 0)]).longestGapNs).toBe(5_000 * MS);
  });

  test("thinning loses nothing between milliseconds, and sorts", () => {
    const times = new SuccessTimes();
    for (const time of [5_400_000, 5_900_000, 5_100_000, 2_000_000]) times.add(time);
    expect(times.sorted()).toEqual([2_000_000, 2_000_000, 5_100_000, 5_900_000]);
    expect(longestGapNs(times.sorted(), 0, 6_000_000)).toBe(3_100_000);
  });
});
