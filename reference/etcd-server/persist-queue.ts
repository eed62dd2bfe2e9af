import type { Index, Message, Ready, Term } from "../raft/types.ts";
import type { Wal } from "../wal/types.ts";

interface Step {
  done: boolean;
  readonly last: { readonly index: Index; readonly term: Term } | undefined;
  readonly afterPersist: readonly Message[];
}

export interface PersistQueueConfig {
  readonly wal: Pick<Wal, "save">;
  /** Called for each Ready in order, once it and all before it are durable. */
  readonly done: (step: Pick<Step, "last" | "afterPersist">) => void;
  readonly failed: (cause: unknown) => void;
}

/**
 * What became of each Ready's promise to the disk, in order. Readies overlap (the log groups their writes), but none is reported durable
 * before those ahead of it: an acknowledgement may repeat what an earlier one has yet to write.
 */
export class PersistQueue {
  readonly #config: PersistQueueConfig;
  #steps: Step[] = [];
  #writing = 0;
  #failed = false;

  constructor(config: PersistQueueConfig) {
    this.#config = config;
  }

  /** A write is under way. */
  get busy(): boolean {
    return this.#writing > 0;
  }

  /** @param install an installation of the Ready's snapshot that is under way; the Ready is durable only after it. */
  add(
    ready: Pick<Ready, "hardState" | "entries" | "mustSync" | "afterPersist">,
    install: Promise<void> | undefined,
  ): void {
    const { hardState, entries, mustSync, afterPersist } = ready;
    const lastEntry = entries.at(-1);
    const step: Step = {
      done: false,
      last: lastEntry && { index: lastEntry.index, term: lastEntry.term },
      afterPersist,
    };
    const writes = hardState !== undefined || entries.length > 0;
    if (!writes && afterPersist.length === 0 && install === undefined) return;
    this.#steps.push(step);
    const saved = writes ? this.#config.wal.save(hardState, entries, { sync: mustSync }) : undefined;
    if ((saved === undefined || !mustSync) && install === undefined) {
      // A commit index that only moved may be forgotten: nobody waits for it, but a broken log is noticed.
      saved?.catch((cause: unknown) => this.#fail(cause));
      step.done = true;
      this.#report();
      return;
    }
    this.#writing++;
    Promise.all([saved, install]).then(
      () => {
        this.#writing--;
        step.done = true;
        this.#report();
      },
      (cause: unknown) => this.#fail(cause),
    );
  }

  #report(): void {
    let count = 0;
    while (this.#steps[count]?.done === true) count++;
    for (const step of this.#steps.splice(0, count)) if (!this.#failed) this.#config.done(step);
  }

  #fail(cause: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#config.failed(cause);
  }
}
