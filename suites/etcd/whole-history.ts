import type { History, Verdict } from "knossos-ts";

interface Budget {
  readonly timeLimitMs: number;
}

/** etcd's default, and what our targets start their members with. */
const ELECTION_TIMEOUT_MS = 1_000;

/** The whole-history checks, done once for a history: every suite of the run asks for them. */
const judged = new WeakMap<History, Promise<readonly Verdict[]>>();

function judgeWhole(history: History, budget: Budget): Promise<readonly Verdict[]> {
  const before = judged.get(history);
  if (before !== undefined) return before;
  const verdicts = checker().then(({ checkEtcd }) => checkEtcd(history, budget));
  judged.set(history, verdicts);
  return verdicts;
}

/** Loaded by the worker that judges, not by everybody who reads the catalogue. */
function checker() {
  return import("knossos-ts");
}

/** What rests on the operations alone. */
export async function judgeOperations(history: History, budget: Budget): Promise<readonly Verdict[]> {
  const verdicts = await judgeWhole(history, budget);
  return verdicts.filter((verdict) => !verdict.checker.startsWith("watch"));
}

/** Watches alone, joined with the operations, and the operations that they are joined with. */
export async function judgeWatches(history: History, budget: Budget): Promise<readonly Verdict[]> {
  return judgeWhole(history, budget);
}

export async function judgeLeases(history: History, budget: Budget): Promise<readonly Verdict[]> {
  const { checkLease } = await checker();
  return [...(await judgeOperations(history, budget)), checkLease(history, { electionTimeoutMs: ELECTION_TIMEOUT_MS })];
}

export async function judgeLocks(history: History, budget: Budget): Promise<readonly Verdict[]> {
  const { checkLock } = await checker();
  return [...(await judgeOperations(history, budget)), checkLock(history)];
}
