import type { Fault } from "../../harness/fault.ts";
import { cannotTell, reading, wantsFault } from "../reading.ts";
import { aim, aimedAt, type Aim } from "../target-choice.ts";
import { tell, timedDatasync, withFaultChannel } from "./channel.ts";

type Plan = { readonly aim: Aim; readonly delayMs: number };
type Resolved = { readonly node: string; readonly delayMs: number };
type Undo = { readonly node: string };

/** Part of the asked-for delay below which the disk does not count as slowed, and above which it does not count as healed. */
const CLEARLY = 0.9;
const HARDLY = 0.5;

/** Each fdatasync of one member's log takes so much longer: a disk that stalls, with nothing lost. */
export const slowFsync: Fault<Plan, Resolved, Undo> = {
  name: "slow-fsync",
  summary: "make each fdatasync of one member's log slow",
  envelope: "within",
  needs: ["fault-channel"],
  prepare: withFaultChannel,
  plan: (random, nodes) => ({ aim: aim(random, nodes), delayMs: 100 + random.below(200) }),
  resolve: (plan, view) => ({ node: aimedAt(plan.aim, view).node, delayMs: plan.delayMs }),
  on: ({ node }) => [node],
  undo: (_context, { node }) => ({ node }),

  async inject({ target }, { node, delayMs }) {
    await tell(target, node, { disk: "datasync", delayMs });
  },

  async probe(context, { node, delayMs }, phase) {
    const { ok, elapsedMs, errno, error } = await timedDatasync(context, node);
    if (!ok || errno !== undefined || elapsedMs === undefined)
      return cannotTell(`fdatasync on ${node} told no time: ${errno ?? error ?? "it did not say why"}`);
    const asked = wantsFault(phase) ? `asked for ${delayMs} more` : "asked for no delay";
    const seen = wantsFault(phase) ? elapsedMs >= delayMs * CLEARLY : elapsedMs < delayMs * HARDLY;
    return reading(seen, `fdatasync on ${node} took ${elapsedMs.toFixed(1)} ms (${asked})`, { elapsedMs, delayMs });
  },

  async heal({ node }, target) {
    // The channel dies with the harness, and a member that was started again has a fresh one.
    if (target?.pid(node) !== undefined) await tell(target, node, { disk: "heal" });
  },
};
