import type { RaftLog } from "./log.ts";
import type { Entry, HardState, Message, ReadState, Ready, SoftState } from "./types.ts";

/** Collects what the core decided since the last Ready, and knows what the edge was told already. */
export class Outbox {
  #messages: Message[] = [];
  #afterPersist: Message[] = [];
  #readStates: ReadState[] = [];
  #soft: SoftState;
  #hard: HardState;

  constructor(soft: SoftState, hard: HardState) {
    this.#soft = soft;
    this.#hard = hard;
  }

  /** A message that promises nothing which a crash could make us forget. */
  send(message: Message): void {
    this.#messages.push(message);
  }

  /** A vote, an acknowledgement, or a candidacy (which is a vote for oneself): true only once it is durable. */
  sendAfterPersist(message: Message): void {
    this.#afterPersist.push(message);
  }

  answerRead(state: ReadState): void {
    this.#readStates.push(state);
  }

  take(log: RaftLog, soft: SoftState, hard: HardState): Ready | undefined {
    const softChanged = soft.leader !== this.#soft.leader || soft.role !== this.#soft.role;
    const promiseChanged = hard.term !== this.#hard.term || hard.vote !== this.#hard.vote;
    const hardChanged = promiseChanged || hard.commit !== this.#hard.commit;
    const waitedForDisk = log.unstable.waitsForDisk;
    const snapshot = log.unstable.takeSnapshot();
    const entries = log.takeUnwritten();
    const committed = log.takeCommitted();
    const nothing =
      !softChanged &&
      !hardChanged &&
      snapshot === undefined &&
      entries.length === 0 &&
      committed.length === 0 &&
      this.#messages.length === 0 &&
      this.#afterPersist.length === 0 &&
      this.#readStates.length === 0;
    if (nothing) return undefined;

    const ready: Ready = {
      ...(softChanged ? { softState: soft } : {}),
      ...(hardChanged ? { hardState: hard } : {}),
      ...(snapshot === undefined ? {} : { snapshot }),
      entries,
      messages: this.#messages,
      afterPersist: this.#afterPersist,
      committed,
      readStates: this.#readStates,
      // A repeated acknowledgement promises entries that an earlier Ready handed out: it has to wait for those too.
      mustSync:
        promiseChanged ||
        snapshot !== undefined ||
        entries.length > 0 ||
        (this.#afterPersist.length > 0 && waitedForDisk),
    };
    this.#soft = soft;
    this.#hard = hard;
    this.#messages = [];
    this.#afterPersist = [];
    this.#readStates = [];
    return ready;
  }
}

/** Cuts entries into groups of at most `maxBytes` of data, one entry at least. */
export function* inGroups(entries: readonly Entry[], maxBytes: number): IterableIterator<readonly Entry[]> {
  let start = 0;
  let sizeBytes = 0;
  for (let i = 0; i < entries.length; i++) {
    const entryBytes = entries[i]?.data.byteLength ?? 0;
    if (i > start && sizeBytes + entryBytes > maxBytes) {
      yield entries.slice(start, i);
      start = i;
      sizeBytes = 0;
    }
    sizeBytes += entryBytes;
  }
  if (start < entries.length) yield entries.slice(start);
}
