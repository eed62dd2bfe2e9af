import type { History, Verdict } from "knossos-ts";
import type { Run } from "../../harness/run.ts";
import { escapeMarkup as text, judgements, seconds, verdictWord, type Judgement } from "../words.ts";
import { describeOperation } from "./timeline.ts";

/** What each checker proves; one that is not named here shows its suite's guarantee. */
const PROVES: Readonly<Record<string, string>> = {
  "linearizability/etcd":
    "Every operation took effect at one instant between its call and its answer, at the revision its answer names.",
  "serializable/etcd":
    "Every serializable read shows the store as it was at the revision the answer names, and that revision had begun before the answer.",
  watch:
    "Each watcher got every event of its range once, in order, whole revisions at a time, none lost over resumes; watchers agree with each other.",
  "watch-joined": "What watchers were told is what the operations did.",
  lease: "A lease and its keys live at least their TTL after the last acknowledged keepalive, and are gone soon after.",
};

const ORDER = [false, "unknown", true] as const;
const MOST_FINDINGS = 20;
const MOST_OPERATIONS = 20;
const LAST_BEFORE = 12;

/** One row a judgement, the violated first; then what speaks against each that did not hold. */
export function verdictsSection(run: Run, history: History): string {
  const all = [...judgements(run)].sort((a, b) => ORDER.indexOf(a.verdict.valid) - ORDER.indexOf(b.verdict.valid));
  const rows = all.map(
    ({ verdict, suites, guarantee }) =>
      `<tr><td>${text(verdict.checker)}</td><td class="${wordClass(verdict)}">${verdictWord(verdict.valid)}</td><td>${text(verdict.why ?? PROVES[verdict.checker] ?? guarantee)}</td><td>${text(suites.join(", "))}</td><td>${figures(verdict)}</td></tr>`,
  );
  const troubles = all
    .filter(({ verdict }) => verdict.valid === false || verdict.findings.length > 0)
    .map((judgement) => trouble(judgement, history));
  return `<h2>What was proven</h2>
<div class="scroll"><table><thead><tr><th>checker</th><th>verdict</th><th>guarantee</th><th>counts for</th><th>looked at</th></tr></thead><tbody>${rows.join("\n")}</tbody></table></div>
${troubles.join("\n")}`;
}

function wordClass({ valid }: Verdict): string {
  return valid === true ? "held" : valid === false ? "violated" : "unknown";
}

function figures(verdict: Verdict): string {
  const said = Object.entries(verdict.stats).map(([name, value]) => {
    const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    return `${Math.round(value * 10) / 10} ${words}`;
  });
  return text(said.join(", "));
}

function trouble({ verdict }: Judgement, history: History): string {
  const byId = new Map(history.operations.map((operation) => [operation.op, operation]));
  const line = (id: number, note = "") => {
    const operation = byId.get(id);
    if (operation === undefined) return `<li><code>operation ${id}</code></li>`;
    const until = operation.returned === undefined ? "never" : seconds(operation.returned);
    return `<li><code>${text(`${seconds(operation.invoked)} to ${until}: ${describeOperation(operation)}`)}</code>${note === "" ? "" : `<br>${text(note)}`}</li>`;
  };
  const shown = verdict.findings.slice(0, MOST_FINDINGS);
  const findings = [...new Set(shown.map(({ kind }) => kind))].map((kind) => {
    const those = shown.filter((finding) => finding.kind === kind);
    return `<h4 class="${wordClass(verdict)}">${text(kind)}</h4>${those
      .map(({ message, operations }) => {
        const lines = operations.slice(0, MOST_OPERATIONS).map((id) => line(id));
        return `<p>${text(message)}</p>${lines.length === 0 ? "" : `<ul>${lines.join("\n")}</ul>`}`;
      })
      .join("\n")}`;
  });
  const left = verdict.findings.length - shown.length;
  return `<h3>${text(verdict.checker)}: <span class="${wordClass(verdict)}">${verdictWord(verdict.valid)}</span></h3>
${findings.join("\n")}${left > 0 ? `<p>${left} more are in verdict.json.</p>` : ""}
${counterexample(verdict, line)}`;
}

/** Left out where it would only say the findings once more. */
function counterexample({ proof, findings }: Verdict, line: (id: number, note?: string) => string): string {
  if (proof?.kind !== "counterexample") return "";
  const told = new Set(findings.map(({ message }) => message));
  if (proof.prefix.length === 0 && proof.stuck.every(({ reason }) => told.has(reason))) return "";
  const before = proof.prefix.slice(-LAST_BEFORE).map((id) => line(id));
  return `<details open><summary>The longest part that can be explained: ${proof.prefix.length} operations; then none of these can come next</summary>
<p>State then: <code>${text(proof.state)}</code></p><ol>${proof.stuck.map(({ operation, reason }) => line(operation, reason)).join("\n")}</ol>
${before.length === 0 ? "" : `<p>The last operations before it:</p><ol>${before.join("\n")}</ol>`}</details>`;
}
