import type { Entry, Index, NodeId, Term } from "../types.ts";

export type Property =
  | "election safety"
  | "log matching"
  | "leader completeness"
  | "state machine safety"
  | "linearizable reads"
  | "invariant";

export interface Violation {
  readonly property: Property;
  readonly what: string;
}

/** A member's log as its edge knows it: what is on disk with all writes under way laid over it. */
export interface LogView {
  readonly snapshotIndex: Index;
  termAt(index: Index): Term | undefined;
}

interface Committed {
  readonly entryTerm: Term;
  /** The earliest term in which some member knew it to be committed. */
  inTerm: Term;
}

/** Watches a whole cluster from outside and remembers the first property of Raft's figure 3 that broke. */
export class SafetyMonitor {
  violation: Violation | undefined;
  readonly #leaders = new Map<Term, string>();
  /** "index/term" names one entry for ever (Raft 5.3): its data and the term before it. */
  readonly #entries = new Map<string, string>();
  readonly #committed = new Map<Index, Committed>();
  readonly #applied = new Map<Index, string>();
  #lastApplied: Index = 0 as Index;

  #report(property: Property, what: string): void {
    this.violation ??= { property, what };
  }

  invariant(what: string): void {
    this.#report("invariant", what);
  }

  /** `life` counts restarts: a member that forgot its vote may lead the same term twice. */
  leads(id: NodeId, life: number, term: Term, log: LogView): void {
    const name = `${id} (life ${life})`;
    const other = this.#leaders.get(term);
    if (other === name) return;
    if (other !== undefined) {
      this.#report("election safety", `${other} and ${name} both lead term ${term}`);
      return;
    }
    this.#leaders.set(term, name);
    for (const [index, { entryTerm, inTerm }] of this.#committed) {
      if (inTerm >= term || index <= log.snapshotIndex || log.termAt(index) === entryTerm) continue;
      this.#report(
        "leader completeness",
        `${id} leads term ${term} without entry ${index}/${entryTerm}, committed in term ${inTerm}`,
      );
      return;
    }
  }

  appends(id: NodeId, entry: Entry, termBefore: Term): void {
    const key = `${entry.index}/${entry.term}`;
    const content = `${termBefore}:${entry.type}:${text(entry.data)}`;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, content);
    else if (known !== content)
      this.#report("log matching", `entry ${key} is ${known} elsewhere and ${content} on ${id}`);
  }

  commits(id: NodeId, index: Index, entryTerm: Term, inTerm: Term): void {
    const known = this.#committed.get(index);
    if (known === undefined) this.#committed.set(index, { entryTerm, inTerm });
    else if (known.entryTerm !== entryTerm) {
      this.#report(
        "leader completeness",
        `${id} commits ${index}/${entryTerm}, but ${index}/${known.entryTerm} was committed in term ${known.inTerm}`,
      );
    } else if (inTerm < known.inTerm) known.inTerm = inTerm;
  }

  applies(id: NodeId, entry: Entry): void {
    const content = `${entry.term}:${entry.type}:${text(entry.data)}`;
    const known = this.#applied.get(entry.index);
    if (known === undefined) this.#applied.set(entry.index, content);
    else if (known !== content)
      this.#report("state machine safety", `${id} applies ${content} at ${entry.index}, others ${known}`);
    if (entry.index > this.#lastApplied) this.#lastApplied = entry.index;
  }

  /** What a read that begins now must see: everything that anyone could have been told of. */
  get readMustSee(): Index {
    return this.#lastApplied;
  }

  reads(id: NodeId, index: Index, mustSee: Index): void {
    if (index < mustSee)
      this.#report("linearizable reads", `${id} reads at ${index} what was at ${mustSee} when the read began`);
  }
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}
