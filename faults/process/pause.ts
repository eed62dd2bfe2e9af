import type { Fault } from "../../harness/fault.ts";
import { inWords } from "../http-probe.ts";
import { memberAnswers } from "../member.ts";
import { cannotTell, fails, holds } from "../reading.ts";
import { aim, aimedAt, type Aim } from "../target-choice.ts";
import { identify, signalTo, stateOf, type Identity } from "./process-state.ts";

type Resolved = Identity & { readonly node: string };

const STOPPED = "T";

/** SIGSTOP: its connections stay open, its clock goes on, it says nothing; what a long garbage collection or a frozen machine is to the others. */
export const pause: Fault<Aim, Resolved, Resolved> = {
  name: "pause",
  summary: "stop a member (SIGSTOP), let it go on at heal (SIGCONT)",
  envelope: "within",
  needs: ["processes"],
  plan: aim,
  resolve(plan, view) {
    const { node, pid } = aimedAt(plan, view);
    return { node, ...identify(pid, node) };
  },
  on: ({ node }) => [node],
  undo: (_context, resolved) => resolved,

  async inject(_context, resolved) {
    if (!signalTo(resolved, "SIGSTOP")) throw new Error(`${resolved.node}, pid ${resolved.pid}, is gone`);
  },

  async probe(context, resolved, phase) {
    const state = stateOf(resolved);
    const who = `${resolved.node}, pid ${resolved.pid},`;
    if (state === undefined) return phase === "before" ? cannotTell(`${who} was gone before`) : fails(`${who} is gone`);
    if (phase === "during")
      return state === STOPPED
        ? holds(`${who} is in state ${state}`)
        : fails(`${who} is in state ${state}, not ${STOPPED}`);
    if (state === STOPPED) return fails(`${who} is in state ${state}`);
    const answer = await memberAnswers(context, resolved.node);
    const text = `${who} is in state ${state} and ${inWords(answer)}`;
    return answer.result === "answered" ? holds(text) : fails(text);
  },

  async heal(undo) {
    signalTo(undo, "SIGCONT");
  },
};
