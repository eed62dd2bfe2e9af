import * as echarts from "echarts";
import type { Run } from "../../harness/run.ts";
import { slices } from "../words.ts";

/** Stand-ins that `themed` turns into CSS variables, so that one drawing serves dark and light. */
const colour = {
  text: "#010101",
  grid: "#020202",
  ok: "#030303",
  fail: "#040404",
  info: "#050505",
  p50: "#060606",
  p99: "#070707",
  max: "#080808",
  fault: "#090909",
} as const;

interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [number, number | null])[];
}

/** Latency (p50, p99, max over all operations, log scale, milliseconds) and rate (operations a second by outcome), fault windows shaded. */
export function charts(run: Run): { readonly latency: string; readonly rate: string } | undefined {
  const rows = slices(run).map((slice) => {
    const sum = { ok: 0, fail: 0, info: 0, p50: 0, p99: 0, max: 0 };
    for (const row of slice.rows) {
      sum.ok += row.ok;
      sum.fail += row.fail;
      sum.info += row.info;
      // Percentiles of different kinds cannot be averaged: the slice shows its slowest kind.
      sum.p50 = Math.max(sum.p50, row.p50);
      sum.p99 = Math.max(sum.p99, row.p99);
      sum.max = Math.max(sum.max, row.max);
    }
    return { at: slice.time / 1e9, perSecond: 1e9 / slice.widthNs, ...sum };
  });
  if (rows.length === 0) return undefined;
  const windows = run.injections.map(({ fault, injectedAt, healedAt }) => ({
    name: fault,
    from: injectedAt / 1e9,
    to: healedAt / 1e9,
  }));
  const milliseconds = (pick: "p50" | "p99" | "max") =>
    rows.map((row) => [row.at, row[pick] > 0 ? row[pick] / 1000 : null] as const);
  const rate = (pick: "ok" | "fail" | "info") => rows.map((row) => [row.at, row[pick] * row.perSecond] as const);
  return {
    latency: draw("Latency of the slowest kind of operation, in milliseconds", "log", windows, [
      { name: "p50", colour: colour.p50, points: milliseconds("p50") },
      { name: "p99", colour: colour.p99, points: milliseconds("p99") },
      { name: "max", colour: colour.max, points: milliseconds("max") },
    ]),
    rate: draw("Operations a second", "value", windows, [
      { name: "ok", colour: colour.ok, points: rate("ok") },
      { name: "fail", colour: colour.fail, points: rate("fail") },
      { name: "in doubt", colour: colour.info, points: rate("info") },
    ]),
  };
}

function draw(
  title: string,
  scale: "log" | "value",
  windows: readonly { name: string; from: number; to: number }[],
  lines: readonly Line[],
): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 1100, height: 280 });
  const axis = {
    axisLine: { lineStyle: { color: colour.text } },
    axisLabel: { color: colour.text },
    splitLine: { lineStyle: { color: colour.grid } },
    nameTextStyle: { color: colour.text },
  };
  chart.setOption({
    animation: false,
    backgroundColor: "transparent",
    grid: { left: 64, right: 20, top: 48, bottom: 40 },
    legend: { top: 0, right: 20, icon: "roundRect", itemHeight: 4, textStyle: { color: colour.text } },
    xAxis: { type: "value", name: "s", min: 0, ...axis },
    yAxis: { type: scale, ...axis },
    series: lines.map((line, index) => ({
      type: "line",
      name: line.name,
      data: line.points,
      showSymbol: false,
      connectNulls: false,
      lineStyle: { color: line.colour, width: 1.6 },
      itemStyle: { color: line.colour },
      ...(index === 0
        ? {
            markArea: {
              silent: true,
              itemStyle: { color: colour.fault, opacity: 0.16 },
              label: {
                color: colour.text,
                rotate: 90,
                position: "insideBottomLeft",
                fontSize: 10,
                align: "left",
                verticalAlign: "top",
              },
              data: windows.map(({ name, from, to }) => [{ name, xAxis: from }, { xAxis: to }]),
            },
          }
        : {}),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return themed(svg).replace("<svg ", `<svg role="img" aria-label="${title}" `);
}

function themed(svg: string): string {
  let text = svg.replace(/ width="1100" height="280"/, "");
  for (const [name, value] of Object.entries(colour)) text = text.replaceAll(value, `var(--chart-${name})`);
  return text;
}
