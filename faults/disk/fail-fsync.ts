import type { Fault } from "../../harness/fault.ts";
import { identify, isThere, type Identity } from "../process/process-state.ts";
import { cannotTell, fails, holds } from "../reading.ts";
import { aim, aimedAt, type Aim } from "../target-choice.ts";
import { tell, timedDatasync, withFaultChannel } from "./channel.ts";

type Resolved = Identity & { readonly node: string };

const ERRNO = "EIO";

/**
 * The next fdatasync of one member's log fails. Whether its pages reached the disk is then unknowable (the kernel may mark them clean),
 * so the member has to stop by itself; trying again would acknowledge what may be lost. At heal the harness starts it again.
 */
export const failFsync: Fault<Aim, Resolved, Resolved> = {
  name: "fail-fsync",
  summary: "fail one member's fdatasync with EIO: it must stop by itself; start it again at heal",
  envelope: "within",
  needs: ["fault-channel", "processes"],
  prepare: withFaultChannel,
  plan: aim,
  resolve(plan, view) {
    const { node, pid } = aimedAt(plan, view);
    return { node, ...identify(pid, node) };
  },
  on: ({ node }) => [node],
  undo: (_context, resolved) => resolved,

  async inject({ target }, resolved) {
    await tell(target, resolved.node, { disk: "datasync", delayMs: 0, errno: ERRNO }).catch((error: unknown) => {
      // A busy member may have stopped before its answer was out: just what is wanted.
      if (isThere(resolved)) throw error;
    });
  },

  async probe(context, resolved, phase) {
    const { node, pid } = resolved;
    const { target } = context;
    if (phase === "during") {
      const answer = await timedDatasync(context, node).catch(() => undefined);
      if (isThere(resolved))
        return fails(
          `${node}, pid ${pid}, still runs; its fdatasync ${answer === undefined ? "tells nothing" : answer.errno === undefined ? "succeeds" : `fails with ${answer.errno}`}`,
        );
      const { code, signal } = await target.exited(node);
      return signal === null
        ? holds(`${node}, pid ${pid}, stopped by itself with exit code ${code}`)
        : fails(`${node}, pid ${pid}, was ended by ${signal}, not by itself`);
    }
    const now = target.pid(node);
    if (phase === "before" && now !== pid) return cannotTell(`${node}, pid ${pid}, was gone before`);
    if (now === undefined) return fails(`${node} does not run`);
    if (phase === "healed" && now === pid) return fails(`${node} still runs as pid ${pid}: it never stopped`);
    const { ok, errno, elapsedMs } = await timedDatasync(context, node);
    if (!ok || errno !== undefined) return fails(`fdatasync on ${node}, pid ${now}, fails with ${errno ?? "no errno"}`);
    return holds(`fdatasync on ${node}, pid ${now}, took ${(elapsedMs ?? 0).toFixed(1)} ms`);
  },

  async heal({ node }, target) {
    // Without the harness that started it there is nobody to restart a member for.
    if (target === undefined) return;
    if (target.pid(node) === undefined) await target.restart(node);
    else await tell(target, node, { disk: "heal" });
  },
};
