import { crc32c } from "@node-rs/crc32";
import type { NodeId, RaftConfig, RaftCore, Ready } from "../reference/raft/types.ts";

/**
 * What must hold over all members and all their lives (Raft figure 3), seen from outside: at most one leader a term, and one entry an index
 * among all that were handed out as committed. A violation is a sentence; the run goes on, so that what clients saw of it is recorded too.
 */
export class RaftWitness {
  readonly #say: (violation: string) => void;
  readonly #nameOf: (id: NodeId) => string;
  readonly #leaders = new Map<number, NodeId>();
  readonly #committed = new Map<number, { readonly term: number; readonly sum: number; readonly by: NodeId }>();

  constructor(nameOf: (id: NodeId) => string, say: (violation: string) => void) {
    this.#nameOf = nameOf;
    this.#say = say;
  }

  /** The core, with a look at each Ready. */
  watch(config: RaftConfig, core: RaftCore): RaftCore {
    return {
      tick: () => core.tick(),
      step: (message) => core.step(message),
      propose: (data) => core.propose(data),
      proposeConfChange: (change, context) => core.proposeConfChange(change, context),
      readIndex: (context) => core.readIndex(context),
      applyConfChange: (change) => core.applyConfChange(change),
      transferLeader: (to) => core.transferLeader(to),
      campaign: () => core.campaign(),
      compact: (to) => core.compact(to),
      reportUnreachable: (id) => core.reportUnreachable(id),
      reportSnapshot: (id, ok) => core.reportSnapshot(id, ok),
      status: () => core.status(),
      ready: () => {
        const ready = core.ready();
        if (ready !== undefined) this.#look(config.id, core, ready);
        return ready;
      },
      persisted: (index, term) => core.persisted(index, term),
      snapshotInstalled: (index) => core.snapshotInstalled(index),
      applied: (index) => core.applied(index),
    };
  }

  #look(id: NodeId, core: RaftCore, ready: Ready): void {
    if (ready.softState?.role === "leader") this.#leads(id, core.status().term);
    for (const { index, term, data } of ready.committed) {
      const sum = crc32c(data);
      const known = this.#committed.get(index);
      if (known === undefined) this.#committed.set(index, { term, sum, by: id });
      else if (known.term !== term || known.sum !== sum) {
        this.#say(
          `state machine safety: ${this.#nameOf(known.by)} was handed the entry of term ${known.term} at index ${index} as committed, ${this.#nameOf(id)} another one of term ${term}`,
        );
      }
    }
  }

  #leads(id: NodeId, term: number): void {
    const known = this.#leaders.get(term);
    if (known === undefined) this.#leaders.set(term, id);
    else if (known !== id)
      this.#say(`election safety: ${this.#nameOf(known)} and ${this.#nameOf(id)} both lead in term ${term}`);
  }
}
