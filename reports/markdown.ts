import type { Artifact, Run } from "../harness/run.ts";
import { evidenceCounts, judgements, latencyRows, microseconds, verdictWord } from "./words.ts";

/** `summary.md`: what a pull request's comment wants. */
export function* markdown(run: Run): Iterable<Artifact> {
  const { info, verdict, injections } = run;
  const lines: string[] = [];
  lines.push(`# Sea trial ${info.id}: ${verdict === undefined ? "not judged" : verdictWord(verdict.valid)}`, "");
  if (verdict !== undefined) lines.push(verdict.summary, "");
  lines.push(
    `Target \`${info.options.target}\`, ${info.options.nodes} members, ${info.options.durationMs / 1000} s, seed ${info.seed}. Again: \`${info.replay}\``,
    "",
  );
  if (verdict !== undefined) {
    lines.push(
      ...table(
        ["checker", "verdict", "counts for", "findings"],
        judgements(run).map(({ verdict: checked, suites }) => [
          checked.checker,
          verdictWord(checked.valid),
          suites.join(", "),
          checked.findings.map((finding) => finding.message).join("; ") || (checked.why ?? ""),
        ]),
      ),
    );
  }
  const names = [...new Set(injections.map(({ fault }) => fault))];
  if (names.length > 0) {
    lines.push(
      ...table(
        ["fault", "injections", "confirmed", "mismatched", "inconclusive"],
        names.map((name) => {
          const those = injections.filter(({ fault }) => fault === name);
          const counts = evidenceCounts(those);
          return [name, `${those.length}`, `${counts.confirmed}`, `${counts.mismatch}`, `${counts.inconclusive}`];
        }),
      ),
    );
  }
  const latencies = latencyRows(run).filter(({ outcome }) => outcome === "ok");
  if (latencies.length > 0) {
    lines.push(
      ...table(
        ["suite", "operation", "ok", "p50", "p99", "max"],
        latencies.map((row) => [
          row.suite,
          row.kind,
          `${row.count}`,
          microseconds(row.p50),
          microseconds(row.p99),
          microseconds(row.max),
        ]),
      ),
    );
  }
  if (info.notTried.length > 0)
    lines.push("Not tried:", "", ...info.notTried.map(({ what, reason }) => `- ${what}: ${reason}`), "");
  yield { name: "summary.md", content: `${lines.join("\n").trimEnd()}\n` };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const row = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  return [row(head), row(head.map(() => "---")), ...rows.map(row), ""];
}
