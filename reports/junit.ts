import type { Artifact, Run } from "../harness/run.ts";
import { escapeMarkup, verdictWord } from "./words.ts";

/** One test suite per trial suite, one test case per checker and per suite x fault cell: what CI systems read. */
export function* junit(run: Run): Iterable<Artifact> {
  const { verdict, info } = run;
  let tests = 0;
  let failures = 0;
  let skipped = 0;
  const suites: string[] = [];
  for (const suite of verdict?.suites ?? []) {
    const cases: string[] = [];
    for (const checked of suite.verdicts) {
      const message = [checked.why, ...checked.findings.map((finding) => finding.message)]
        .filter((text) => text !== undefined)
        .join("\n");
      cases.push(
        testCase(
          suite.suite,
          checked.checker,
          (checked.stats["milliseconds"] ?? 0) / 1000,
          checked.valid === true ? undefined : `${verdictWord(checked.valid)}: ${message}\nreplay: ${info.replay}`,
        ),
      );
      if (checked.valid !== true) failures++;
    }
    for (const cell of (verdict?.cells ?? []).filter(({ suite: name }) => name === suite.suite)) {
      const text = `${cell.confirmed} confirmed, ${cell.mismatch} mismatched, ${cell.inconclusive} inconclusive`;
      cases.push(
        testCase(suite.suite, `under ${cell.fault}`, 0, cell.conclusive ? undefined : `inconclusive: ${text}`),
      );
      if (!cell.conclusive) failures++;
    }
    tests += cases.length;
    suites.push(
      `  <testsuite name="${escapeMarkup(suite.suite)}" tests="${cases.length}">\n${cases.join("\n")}\n  </testsuite>`,
    );
  }
  if (info.notTried.length > 0) {
    const cases = info.notTried.map(
      ({ what, reason }) =>
        `    <testcase classname="not tried" name="${escapeMarkup(what)}"><skipped message="${escapeMarkup(reason)}"/></testcase>`,
    );
    skipped = cases.length;
    tests += cases.length;
    suites.push(
      `  <testsuite name="not tried" tests="${cases.length}" skipped="${cases.length}">\n${cases.join("\n")}\n  </testsuite>`,
    );
  }
  yield {
    name: "junit.xml",
    content: `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="seatrial ${escapeMarkup(info.id)}" tests="${tests}" failures="${failures}" skipped="${skipped}">\n${suites.join("\n")}\n</testsuites>\n`,
  };
}

function testCase(suite: string, name: string, seconds: number, failure: string | undefined): string {
  const head = `    <testcase classname="${escapeMarkup(suite)}" name="${escapeMarkup(name)}" time="${seconds.toFixed(3)}"`;
  if (failure === undefined) return `${head}/>`;
  const firstLine = failure.split("\n")[0] ?? "";
  return `${head}>\n      <failure message="${escapeMarkup(firstLine)}">${escapeMarkup(failure)}</failure>\n    </testcase>`;
}
