import { Budget } from "../budget.ts";
import { checkLinearizable } from "../engine/linearizability.ts";
import type { History } from "../history.ts";
import { etcd } from "../models/etcd.ts";
import type { EtcdInput, EtcdOutput } from "../models/etcd-types.ts";
import type { Finding, Proof, Verdict } from "../verdict.ts";
import { checkWatches } from "../watch/check.ts";
import type { WatchStream } from "../watch/sightings.ts";
import { eventsOf, observerOf, sightingsOf, watchesOf } from "../watch/sightings.ts";
import type { Explanation, Failure } from "./explain.ts";
import { Explainer } from "./explain.ts";
import type { SeenEvent } from "./facts.ts";
import type { Contradiction } from "./key-facts.ts";
import { Facts } from "./facts.ts";
import type { EtcdProblem } from "./problem.ts";
import { isLeaseQuestion, prepare, revisionOf } from "./problem.ts";
import type { Sighting } from "./realtime.ts";
import { Deadlines, checkRealTime } from "./realtime.ts";
import type { EtcdOperation } from "./requests.ts";
import { isSerializable } from "./requests.ts";
import { validateEtcd } from "./validate.ts";

export interface CheckOptions {
  /** For the whole call; past it what is undecided is "unknown". */
  readonly timeLimitMs?: number;
  /** A monotonic clock in milliseconds; the platform's if absent. */
  readonly now?: () => number;
}

type Finished = Extract<Explanation, { result: "explained" }>;

type Judgement =
  | { readonly valid: true; readonly explanation: Finished }
  | { readonly valid: false; readonly contradiction: Contradiction; readonly proof?: Proof; readonly steps: number }
  | { readonly valid: "unknown"; readonly why: string; readonly proof?: Proof; readonly steps: number };

/** What the sweep over everything may spend of the time, if it has to be taken apart after. */
const FIRST_SHARE = 0.4;

interface Scope {
  readonly serializable: boolean;
  readonly watches: boolean;
}

/**
 * Judges a recorded etcd history: `linearizability/etcd` (operations), `serializable/etcd` (ranges answered by one member),
 * and where there are watches `watch` (watches alone) and `watch-joined` (with the operations).
 * Throws MalformedHistory where an operation is not one of etcd's.
 */
export function checkEtcd(history: History, options: CheckOptions = {}): Verdict[] {
  const valid = validateEtcd(history);
  const budget = new Budget(options.timeLimitMs, options.now);
  return new EtcdCheck(valid, budget).verdicts();
}

class EtcdCheck {
  readonly #history: History<EtcdInput, EtcdOutput>;
  readonly #budget: Budget;
  readonly #watches: readonly WatchStream[];
  readonly #events: readonly SeenEvent[];
  readonly #problem: EtcdProblem;
  readonly #judged = new Map<string, Judgement>();

  constructor(history: History<EtcdInput, EtcdOutput>, budget: Budget) {
    this.#history = history;
    this.#budget = budget;
    this.#watches = watchesOf(history.streams);
    this.#events = eventsOf(this.#watches);
    this.#problem = prepare(history, this.#events);
  }

  verdicts(): Verdict[] {
    const bare = this.#history.operations.filter(
      (operation) =>
        operation.outcome === "ok" && !isLeaseQuestion(operation.input) && revisionOf(operation) === undefined,
    );
    return bare.length > 0 ? this.#unguided(bare.length) : this.#guided();
  }

  /** Answers without header revisions (other tools' histories): the general engines, over the whole. */
  #unguided(bare: number): Verdict[] {
    const operations = this.#history.operations.filter((operation) => !isSerializable(operation.input));
    const whole = {
      ...this.#history,
      operations: [...operations, ...expiriesOf(operations)].sort((a, b) => a.invoked - b.invoked),
    };
    const limit = Number.isFinite(this.#budget.remainingMs) ? { timeLimitMs: this.#budget.remainingMs } : {};
    const why = `${bare} answers have no header revision, so only the linearizable operations are judged`;
    const verdicts: Verdict[] = this.#history.foreignWriters
      ? [
          {
            valid: "unknown",
            checker: "linearizability/etcd",
            findings: [],
            why: `${bare} answers have no header revision, and foreign writers may have written anything`,
            stats: {},
          },
        ]
      : [withoutExpiries(checkLinearizable(whole as unknown as History, etcd, limit), operations)];
    if (operations.length < this.#history.operations.length)
      verdicts.push({ valid: "unknown", checker: "serializable/etcd", findings: [], why, stats: {} });
    if (this.#watches.length > 0)
      verdicts.push(checkWatches(this.#history.streams, this.#history.environment), {
        valid: "unknown",
        checker: "watch-joined",
        findings: [],
        why,
        stats: {},
      });
    return verdicts;
  }

  #guided(): Verdict[] {
    const serializable = this.#problem.serializable.length > 0;
    const watches = this.#watches.length > 0;
    // One sweep over everything settles a good history; only a bad one is taken apart.
    const all = this.#judge({ serializable, watches }, serializable || watches ? FIRST_SHARE : 1);
    const operations = all.valid === true ? all : this.#judge({ serializable: false, watches: false });
    const verdicts = [this.#operationsVerdict(operations)];
    if (serializable)
      verdicts.push(
        this.#serializableVerdict(
          all.valid === true ? all : this.#judge({ serializable: true, watches: false }),
          operations,
        ),
      );
    if (watches) {
      const alone = checkWatches(this.#history.streams, this.#history.environment);
      verdicts.push(
        alone,
        this.#joinedVerdict(
          all.valid === true ? all : this.#judge({ serializable: false, watches: true }),
          operations,
          alone,
        ),
      );
    }
    return verdicts;
  }

  #judge(scope: Scope, share = 1): Judgement {
    const id = `${scope.serializable} ${scope.watches}`;
    const known = this.#judged.get(id);
    if (known !== undefined) return known;
    const judgement = judge(this.#problem, scope, this.#watches, this.#events, this.#budget.share(share));
    this.#judged.set(id, judgement);
    return judgement;
  }

  #operationsVerdict(judgement: Judgement): Verdict {
    const stats = {
      operations: this.#history.operations.length,
      ok: count(this.#history, "ok"),
      info: count(this.#history, "info"),
      revisions: this.#problem.top - this.#problem.initial.revision,
      ...(judgement.valid === true
        ? { gaps: judgement.explanation.gaps, steps: judgement.explanation.steps }
        : { steps: judgement.steps }),
      milliseconds: this.#budget.elapsedMs,
    };
    const linear = this.#history.operations.filter((o) => o.outcome === "ok" && !isSerializable(o.input)).length;
    if (judgement.valid === true && linear === 0)
      return {
        valid: "unknown",
        checker: "linearizability/etcd",
        findings: [],
        why: "no operation was acknowledged, so there is nothing to judge",
        stats,
      };
    const verdict = verdictOf("linearizability/etcd", judgement, stats);
    return judgement.valid === true
      ? { ...verdict, proof: { kind: "linearization", order: judgement.explanation.order } }
      : verdict;
  }

  #serializableVerdict(judgement: Judgement, operations: Judgement): Verdict {
    const stats = { reads: this.#problem.serializable.length, milliseconds: this.#budget.elapsedMs };
    if (operations.valid === false && judgement.valid === false) {
      return {
        valid: "unknown",
        checker: "serializable/etcd",
        findings: [],
        why: "the operations alone cannot be ordered, so there is no state to hold serializable reads against",
        stats,
      };
    }
    return verdictOf("serializable/etcd", judgement, stats);
  }

  #joinedVerdict(judgement: Judgement, operations: Judgement, alone: Verdict): Verdict {
    const stats = { events: this.#events.length, watches: this.#watches.length, milliseconds: this.#budget.elapsedMs };
    if (judgement.valid === false && operations.valid === false) {
      return {
        valid: "unknown",
        checker: "watch-joined",
        findings: [],
        why: "the operations alone cannot be ordered, so there is nothing to hold the watches against",
        stats,
      };
    }
    const verdict = verdictOf("watch-joined", judgement, stats);
    if (judgement.valid !== false || operations.valid !== true || alone.valid !== true) return verdict;
    return { ...verdict, findings: verdict.findings.map((finding) => asDisagreement(finding, this.#problem)) };
  }
}

/** To the general engines a lease that expires is a revoke in doubt, one for each grant. Their ids are negative. */
function expiriesOf(operations: readonly EtcdOperation[]): EtcdOperation[] {
  return operations.flatMap((operation): EtcdOperation[] => {
    const { input, output, outcome, invoked, op } = operation;
    if (input.f !== "lease-grant" || outcome === "fail") return [];
    const id = output?.f === "lease-grant" ? output.id : input.id;
    return [{ op: -1 - op, process: -1 - op, input: { f: "lease-revoke", id }, outcome: "info", invoked }];
  });
}

/** What is shown names recorded operations only. */
function withoutExpiries(verdict: Verdict, operations: readonly EtcdOperation[]): Verdict {
  const { proof } = verdict;
  const stats = { ...verdict.stats, operations: operations.length };
  if (proof === undefined) return { ...verdict, stats };
  return {
    ...verdict,
    stats,
    proof:
      proof.kind === "linearization"
        ? { ...proof, order: proof.order.filter((op) => op >= 0) }
        : { ...proof, prefix: proof.prefix.filter((op) => op >= 0) },
  };
}

/** Both sides hold alone: name an operation and a watch, so that a reader can look at both. */
function asDisagreement(finding: Finding, problem: EtcdProblem): Finding {
  const operations =
    finding.operations.length > 0
      ? finding.operations
      : [...problem.writers.values()].slice(-1).map((operation) => operation.op);
  return {
    ...finding,
    kind: "disagreement",
    message: `the operations hold and the watches hold, but not together: ${finding.message}`,
    operations,
  };
}

function judge(
  problem: EtcdProblem,
  scope: Scope,
  watches: readonly WatchStream[],
  events: readonly SeenEvent[],
  budget: Budget,
): Judgement {
  const base = problem.initial.revision;
  if (problem.duplicate !== undefined) {
    const [a, b] = problem.duplicate;
    return refuted({
      kind: "duplicate-revision",
      message: `operations ${a.op} and ${b.op} were both answered as having made revision ${revisionOf(a) ?? 0}`,
      operations: [a.op, b.op],
    });
  }
  const sightings = collectSightings(problem, scope, watches);
  const backwards = checkRealTime(problem, sightings);
  if (backwards !== undefined) return refuted(backwards);
  const top = sightings.reduce((most, sighting) => Math.max(most, sighting.revision), problem.top);
  const early = problem.serializable.find((operation) => scope.serializable && (revisionOf(operation) ?? base) < base);
  if (early !== undefined)
    return refuted({
      kind: "revision-went-back",
      message: `operation ${early.op} was answered from revision ${revisionOf(early) ?? 0}, but the store was at ${base} before the history began`,
      operations: [early.op],
    });
  const gaps: number[] = [];
  for (let revision = base + 1; revision <= top; revision++) if (!problem.writers.has(revision)) gaps.push(revision);
  const facts = collectFacts(problem, scope, events, gaps);
  if (facts.contradiction !== undefined) return refuted(facts.contradiction);
  if (budget.spent) return { valid: "unknown", why: "the time limit ran out before the search began", steps: 0 };
  const explanation = new Explainer(problem, {
    facts,
    deadlines: new Deadlines(problem, top, sightings),
    gaps,
    top,
    serializable: scope.serializable,
    ...(scope.watches ? { observer: observerOf(watches, events) } : {}),
    budget,
  }).run();
  return conclude(explanation);
}

function collectSightings(problem: EtcdProblem, scope: Scope, watches: readonly WatchStream[]): Sighting[] {
  const sightings: Sighting[] = [];
  if (scope.serializable) {
    for (const operation of problem.serializable) {
      const revision = revisionOf(operation);
      if (revision !== undefined && operation.returned !== undefined)
        sightings.push({ revision, time: operation.returned, operation: operation.op });
    }
  }
  // Watches of what was before the history need no explanation.
  if (scope.watches)
    sightings.push(...sightingsOf(watches).filter((sighting) => sighting.revision > problem.initial.revision));
  return sightings;
}

function collectFacts(
  problem: EtcdProblem,
  scope: Scope,
  events: readonly SeenEvent[],
  gaps: readonly number[],
): Facts {
  const facts = new Facts(problem.keys, problem.initial.revision, gaps, problem.writers);
  for (const kv of problem.initial.kvs) facts.addInitial(kv);
  for (const [revision, operations] of problem.answered) {
    for (const operation of operations)
      facts.addOperation(operation, revision, problem.writers.get(revision) === operation);
  }
  if (scope.serializable)
    for (const operation of problem.serializable) facts.addOperation(operation, revisionOf(operation) ?? 0, false);
  if (scope.watches) for (const event of events) if (event.revision > problem.initial.revision) facts.addEvent(event);
  facts.finish();
  return facts;
}

function conclude(explanation: Explanation): Judgement {
  if (explanation.result === "explained") return { valid: true, explanation };
  if (explanation.result === "budget") {
    const at =
      explanation.failure === undefined
        ? ""
        : `; the search came to revision ${explanation.failure.revision}, where ${explanation.failure.reason}`;
    return {
      valid: "unknown",
      why: `the time limit ran out${at}`,
      steps: explanation.steps,
      ...(explanation.failure === undefined ? {} : { proof: proofOf(explanation.failure) }),
    };
  }
  const { failure } = explanation;
  if (!explanation.certain)
    return {
      valid: "unknown",
      why: `foreign writers may explain it, but no way was found: ${failure.reason}`,
      proof: proofOf(failure),
      steps: explanation.steps,
    };
  const contradiction = {
    kind: failure.kind,
    message: messageOf(failure),
    operations: failure.operations,
    ...(failure.streams === undefined ? {} : { streams: failure.streams }),
  };
  return { valid: false, contradiction, proof: proofOf(failure), steps: explanation.steps };
}

function messageOf(failure: Failure): string {
  const who = failure.operations.length === 0 ? "" : `operation ${failure.operations.join(", ")}: `;
  return `${who}${failure.reason}`;
}

function proofOf(failure: Failure): Proof {
  return {
    kind: "counterexample",
    prefix: failure.prefix,
    state: failure.state,
    stuck: failure.operations.map((operation) => ({ operation, reason: failure.reason })),
  };
}

function refuted(contradiction: Contradiction): Judgement {
  const stuck = contradiction.operations.map((operation) => ({ operation, reason: contradiction.message }));
  return {
    valid: false,
    contradiction,
    proof: {
      kind: "counterexample",
      prefix: [],
      state: "forced by revisions and real time, whatever the order",
      stuck,
    },
    steps: 0,
  };
}

function verdictOf(checker: string, judgement: Judgement, stats: Readonly<Record<string, number>>): Verdict {
  if (judgement.valid === true) return { valid: true, checker, findings: [], stats };
  const proof = judgement.proof === undefined ? {} : { proof: judgement.proof };
  if (judgement.valid === "unknown")
    return { valid: "unknown", checker, findings: [], ...proof, why: judgement.why, stats };
  const { contradiction } = judgement;
  return {
    valid: false,
    checker,
    findings: [
      {
        kind: contradiction.kind,
        message: contradiction.message,
        operations: contradiction.operations,
        ...(contradiction.streams === undefined ? {} : { streams: contradiction.streams }),
      },
    ],
    ...proof,
    stats,
  };
}

function count(history: History<EtcdInput, EtcdOutput>, outcome: "ok" | "info"): number {
  return history.operations.reduce((sum, operation) => sum + (operation.outcome === outcome ? 1 : 0), 0);
}
