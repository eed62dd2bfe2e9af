import type { Fault, FaultContext } from "../../harness/fault.ts";
import { inWords } from "../http-probe.ts";
import { memberAnswers } from "../member.ts";
import { cannotTell, fails, holds } from "../reading.ts";
import { aim, aimedAt, type Aim } from "../target-choice.ts";
import { identify, isThere, signalTo, type Identity } from "./process-state.ts";

type Resolved = Identity & { readonly node: string };

/** How long the harness waits for the kernel to say that a killed process is gone. */
const GONE_WITHIN_MS = 5_000;

/** SIGKILL: no chance to flush, hand over or say goodbye. What it was told to sync survives, as does the page cache. */
export const kill: Fault<Aim, Resolved, Resolved> = {
  name: "kill",
  summary: "kill -9 a member, start it again at heal",
  envelope: "within",
  needs: ["processes"],
  plan: aim,
  resolve(plan, view) {
    const { node, pid } = aimedAt(plan, view);
    return { node, ...identify(pid, node) };
  },
  on: ({ node }) => [node],
  undo: (_context, resolved) => resolved,

  async inject({ target, clock, signal }, resolved) {
    signalTo(resolved, "SIGKILL");
    const limit = new AbortController();
    const late = clock.sleep(GONE_WITHIN_MS, AbortSignal.any([limit.signal, signal])).catch(() => undefined);
    await Promise.race([target.exited(resolved.node), late]);
    limit.abort();
  },

  async probe(context, resolved, phase) {
    const { node, pid } = resolved;
    if (phase === "during")
      return isThere(resolved) ? fails(`${node} still runs as pid ${pid}`) : holds(`${node}, pid ${pid}, is gone`);
    if (phase === "before")
      return isThere(resolved) ? answers(context, node, pid) : cannotTell(`${node}, pid ${pid}, was gone before`);
    const now = context.target.pid(node);
    if (now === undefined) return fails(`${node} does not run`);
    if (isThere(resolved)) return fails(`${node} still runs as pid ${pid}: it was never killed`);
    return answers(context, node, now);
  },

  async heal({ node }, target) {
    // Without the harness that started it there is nobody to restart a member for.
    if (target !== undefined && target.pid(node) === undefined) await target.restart(node);
  },
};

async function answers(context: FaultContext, node: string, pid: number) {
  const answer = await memberAnswers(context, node);
  const text = `${node}, pid ${pid}, ${inWords(answer)}`;
  return answer.result === "answered" ? holds(text) : fails(text);
}
