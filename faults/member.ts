import type { FaultContext } from "../harness/fault.ts";
import { httpProbe, type HttpProbe } from "./http-probe.ts";

const ANSWER_WITHIN_MS = 1_500;

/** Asks a member on its own client port, past any proxy. */
export function memberAnswers({ target, clock, signal }: FaultContext, node: string): Promise<HttpProbe> {
  const known = target.nodes.find((one) => one.name === node);
  if (known === undefined) throw new Error(`there is no member ${node}`);
  return httpProbe(clock, known.directClientAddress, { withinMs: ANSWER_WITHIN_MS, signal });
}
