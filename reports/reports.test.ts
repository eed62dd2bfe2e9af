import { expect, test } from "vitest";
import type { History } from "knossos-ts";
import type { Run } from "../harness/run.ts";
import { reporters } from "./index.ts";
import { timelineData } from "./html/timeline.ts";
import { sampleRun } from "./sample-run.ts";

function artifacts({ run, history }: { run: Run; history: History }): Record<string, string> {
  return Object.fromEntries(
    reporters.flatMap((report) => [...report(run, history)].map(({ name, content }) => [name, content.toString()])),
  );
}

test("a run becomes a page, a JUnit file and a summary", () => {
  expect(Object.keys(artifacts(sampleRun(true))).sort()).toEqual(["index.html", "junit.xml", "summary.md"]);
});

test("JUnit counts a violated checker and an inconclusive cell as failures, and says how to replay", () => {
  const held = artifacts(sampleRun(true))["junit.xml"] ?? "";
  const violated = artifacts(sampleRun(false))["junit.xml"] ?? "";
  expect(held).toContain('tests="4" failures="1" skipped="1"');
  expect(violated).toContain('tests="4" failures="2" skipped="1"');
  expect(violated).toContain("replay: seatrial run etcd/kv --seed 42");
});

test("what a target or a finding says cannot break out of the markup", () => {
  for (const [name, content] of Object.entries(artifacts(sampleRun(false)))) {
    if (name !== "summary.md") expect(content, name).not.toContain("<script>alert(1)");
  }
});

test("a page refers to nothing outside itself", () => {
  const page = artifacts(sampleRun(false))["index.html"] ?? "";
  expect(page.match(/(?:src|href)="(?!data:)[^"]*"/g) ?? []).toEqual([]);
  expect(page).not.toMatch(/url\(\s*["']?http/);
});

test("a client whose operation ended in doubt stays in its lane under the new process id", () => {
  const { run, history } = sampleRun(true);
  const { data } = timelineData(run, history, new Set());
  expect(new Set(history.operations.map(({ process }) => process)).size).toBeGreaterThan(3);
  expect(data.lanes).toHaveLength(3);
});

test("a history too long to draw is cut around the counterexample, and the page says how much is missing", () => {
  const { run, history } = sampleRun(false, 30_000);
  const last = history.operations.at(-1)?.op ?? 0;
  const { data, shown, total } = timelineData(run, history, new Set([last]));
  expect(total).toBe(30_000);
  expect(shown).toBeLessThan(1_000);
  expect(data.op).toContain(last);
  expect(artifacts({ run, history })["index.html"]).toContain("operations are not drawn here");
});

test("an unjudged run and an empty history still make a page", () => {
  const { run, history } = sampleRun(true);
  const { verdict: _, ...unjudged } = run;
  const page =
    artifacts({ run: { ...unjudged, injections: [], metrics: [] }, history: { ...history, operations: [] } })[
      "index.html"
    ] ?? "";
  expect(page).toContain("not judged");
  expect(page).toContain("No operation was recorded.");
});

test("a checker of the whole history is shown once and names the suites it counts for", () => {
  const { run, history } = sampleRun(false);
  const [kv] = run.verdict?.suites ?? [];
  if (run.verdict === undefined || kv === undefined) throw new Error("the sample has a suite");
  const suites = [kv, { ...kv, suite: "etcd/watch" }, { ...kv, suite: "etcd/lease", verdicts: [] }];
  const { "index.html": page = "", "summary.md": summary = "" } = artifacts({
    run: { ...run, verdict: { ...run.verdict, suites } },
    history,
  });
  const finding = kv.verdicts.flatMap(({ findings }) => findings)[0]?.kind ?? "";
  expect(page.split(`<h4 class="violated">${finding}</h4>`)).toHaveLength(2);
  expect(page).toContain("<td>etcd/kv, etcd/watch</td>");
  expect(summary).toContain("| etcd/kv, etcd/watch |");
});
