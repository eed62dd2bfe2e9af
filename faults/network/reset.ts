import type { Fault } from "../../harness/fault.ts";
import { httpProbe, inWords } from "../http-probe.ts";
import { fails, holds, reading, wantsFault } from "../reading.ts";
import { oneOf } from "../target-choice.ts";
import { addressOf, addToxics, apiOf, clientProxy, removeToxics, withLinks } from "./links-api.ts";

type Named = { readonly node: string };
type Undo = { readonly api: string; readonly proxy: string };

const NAME = "reset";
const ANSWER_WITHIN_MS = 1_500;

/** Every connection of clients to one member is reset (TCP RST) at its next bytes: those there are, and each new one. */
export const reset: Fault<Named, Named, Undo> = {
  name: NAME,
  summary: "reset the clients' connections to one member, old and new",
  envelope: "within",
  needs: ["links"],
  prepare: withLinks,
  plan: (random, nodes) => ({ node: oneOf(random, nodes) }),
  resolve: ({ node }) => ({ node }),
  on: ({ node }) => [node],
  undo: (context, { node }) => ({ api: apiOf(context), proxy: clientProxy(node) }),

  async inject(context, { node }) {
    await addToxics(apiOf(context), [clientProxy(node)], NAME, "reset_peer", { timeout: 0 });
  },

  async probe(context, { node }, phase) {
    const address = await addressOf(apiOf(context), clientProxy(node));
    const probe = await httpProbe(context.clock, address, { withinMs: ANSWER_WITHIN_MS, signal: context.signal });
    const text = `a connection through ${clientProxy(node)} ${inWords(probe)}`;
    if (probe.result === "silent") return reading("inconclusive", text);
    const seen = wantsFault(phase)
      ? probe.result === "closed" && probe.code === "ECONNRESET"
      : probe.result === "answered";
    return seen ? holds(text) : fails(text);
  },

  async heal({ api, proxy }, target) {
    // The proxies are a thread of the harness: gone with it, and another process may have their port by now.
    if (target !== undefined) await removeToxics(api, [proxy], NAME);
  },
};
