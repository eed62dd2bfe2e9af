import type { History } from "knossos-ts";
import type { Artifact, Run } from "../../harness/run.ts";
import {
  availability,
  escapeMarkup as text,
  evidenceCounts,
  latencyRows,
  microseconds,
  seconds,
  verdictWord,
} from "../words.ts";
import { charts } from "./charts.ts";
import { style } from "./style.ts";
import { timeline } from "./timeline.ts";
import { verdictsSection } from "./verdicts.ts";

/** `index.html`: one file, no network. The verdict first, then what was tried with which evidence, then figures, then how to run it again. */
export function* html(run: Run, history: History): Iterable<Artifact> {
  yield { name: "index.html", content: page(run, history) };
}

function page(run: Run, history: History): string {
  const word = run.verdict === undefined ? "not judged" : verdictWord(run.verdict.valid);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>Sea trial ${text(run.info.id)}: ${word}</title>
<style>${style}</style>
</head>
<body><main>
${verdictSection(run, history, word)}
${verdictsSection(run, history)}
${triedSection(run)}
${figuresSection(run)}
<h2>Operations by client</h2>
${timeline(run, history)}
${environmentSection(run)}
</main></body>
</html>
`;
}

function verdictSection(run: Run, history: History, word: string): string {
  const { info, verdict, injections } = run;
  const css =
    verdict === undefined
      ? "unknown"
      : { held: "held", VIOLATED: "violated", unknown: "unknown" }[verdictWord(verdict.valid)];
  const evidence = evidenceCounts(injections);
  const outcomes = { ok: 0, fail: 0, info: 0 };
  for (const { outcome } of history.operations) outcomes[outcome]++;
  const tried =
    injections.length === 0
      ? "no faults injected"
      : `${injections.length} faults injected: ${evidence.confirmed} confirmed, ${evidence.mismatch} mismatched, ${evidence.inconclusive} inconclusive`;
  return `<h1>Sea trial of ${text(info.options.target)}</h1>
<p class="facts">${text(info.id)}, seed <code>${info.seed}</code>, ${info.options.nodes} members, ${info.options.durationMs / 1000} s under load, ${text(info.startedAt)}</p>
<section class="verdict ${css}" aria-label="verdict">
<div class="word">${word}</div>
<p>${text(verdict?.summary ?? "The run ended before it was judged; seatrial check on its directory judges it.")}</p>
<p class="facts">${history.operations.length} operations (${outcomes.ok} ok, ${outcomes.fail} failed, ${outcomes.info} in doubt), ${history.streams.length} streams; ${tried}.${verdict?.interrupted === undefined ? "" : ` Interrupted: ${text(verdict.interrupted)}.`}</p>
<p>Again: <code>${text(info.replay)}</code></p>
</section>`;
}

function triedSection(run: Run): string {
  const cells = run.verdict?.cells ?? [];
  const suites = [...new Set(cells.map(({ suite }) => suite))];
  const faults = [...new Set(cells.map(({ fault }) => fault))];
  const matrix = suites.map((suite) => {
    const columns = faults.map((fault) => {
      const cell = cells.find((one) => one.suite === suite && one.fault === fault);
      if (cell === undefined) return "<td>not tried</td>";
      const parts = [
        cell.confirmed > 0 ? `${cell.confirmed} confirmed` : "",
        cell.mismatch > 0 ? `${cell.mismatch} mismatched` : "",
        cell.inconclusive > 0 ? `${cell.inconclusive} inconclusive` : "",
      ].filter((part) => part !== "");
      return `<td class="${cell.conclusive ? "held" : "unknown"}">${text(parts.join(", ") || "none")}</td>`;
    });
    return `<tr><th scope="row">${text(suite)}</th>${columns.join("")}</tr>`;
  });
  const injections = run.injections.map(
    ({ fault, on, injectedAt, healedAt, evidence, error }) =>
      `<tr><td>${text(fault)}</td><td>${text(on.join(", "))}</td><td class="number">${seconds(injectedAt)}</td><td class="number">${seconds(healedAt)}</td><td class="${evidence.result === "confirmed" ? "held" : "unknown"}">${evidence.result}</td><td>${[evidence.before, evidence.during, evidence.healed].map((reading, phase) => `<b>${["before", "during", "healed"][phase]}</b> ${text(reading.text)}`).join("<br>")}${error === undefined ? "" : `<br>${text(error)}`}</td></tr>`,
  );
  const notTried = run.info.notTried.map(({ what, reason }) => `<li><code>${text(what)}</code>: ${text(reason)}</li>`);
  return `<h2>What was tried against what</h2>
${cells.length === 0 ? "<p>No faults in this run.</p>" : `<div class="scroll"><table><thead><tr><th>suite</th>${faults.map((fault) => `<th>${text(fault)}</th>`).join("")}</tr></thead><tbody>${matrix.join("\n")}</tbody></table></div>`}
${injections.length === 0 ? "" : `<h3>Each fault and its evidence</h3><div class="scroll"><table><thead><tr><th>fault</th><th>on</th><th class="number">injected</th><th class="number">healed</th><th>evidence</th><th>measured</th></tr></thead><tbody>${injections.join("\n")}</tbody></table></div>`}
${notTried.length === 0 ? "" : `<h3>Not tried</h3><ul>${notTried.join("\n")}</ul>`}`;
}

function figuresSection(run: Run): string {
  const drawn = charts(run);
  const rows = latencyRows(run).map(
    (row) =>
      `<tr><td>${text(row.suite)}</td><td>${text(row.kind)}</td><td>${row.outcome === "info" ? "in doubt" : row.outcome}</td>${[`${row.count}`, ...[row.p50, row.p90, row.p99, row.p999, row.max].map(microseconds)].map((cell) => `<td class="number">${cell}</td>`).join("")}</tr>`,
  );
  const gaps = availability(run);
  return `<h2>Latency and rate</h2>
${
  drawn === undefined
    ? "<p>No slice was measured.</p>"
    : `<figure>${drawn.latency}<figcaption>Latency of the slowest kind of operation, milliseconds, log scale; fault windows shaded.</figcaption></figure>
<figure>${drawn.rate}<figcaption>Operations a second; fault windows shaded.</figcaption></figure>`
}
${gaps === undefined ? "" : `<p>Longest time without a success: ${seconds(gaps.longestGapNs)} in the whole run${gaps.perFault.length === 0 ? "" : `; by fault: ${text(gaps.perFault.map((one) => `${one.fault} ${seconds(one.longestGapNs)}`).join(", "))}`}.</p>`}
${rows.length === 0 ? "" : `<div class="scroll"><table><thead><tr><th>suite</th><th>operation</th><th>outcome</th>${["count", "p50", "p90", "p99", "p99.9", "max"].map((name) => `<th class="number">${name}</th>`).join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`}`;
}

function environmentSection(run: Run): string {
  const { info } = run;
  const facts: readonly (readonly [string, string])[] = [
    ["command", info.command],
    ["again", info.replay],
    ["seed", `${info.seed}`],
    ["seatrial", `${info.seatrial.version}, commit ${info.seatrial.commit}`],
    ...Object.entries(info.versions),
    [
      "host",
      `${info.host.platform}, ${info.host.cpus} processors, ${(info.host.memoryBytes / 2 ** 30).toFixed(1)} GiB, Node ${info.host.node}`,
    ],
    ["suites", info.options.suites.join(", ")],
    ["faults", info.options.faults.join(", ") || "none"],
    ["began, ended", `${info.startedAt}, ${info.finishedAt ?? "unfinished"}`],
  ];
  return `<h2>Environment</h2><div class="scroll"><table><tbody>${facts.map(([name, value]) => `<tr><th scope="row">${text(name)}</th><td><code>${text(value)}</code></td></tr>`).join("\n")}</tbody></table></div>`;
}
