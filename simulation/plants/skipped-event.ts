import { openStateMachine } from "../../reference/apply/state-machine.ts";
import type { MvccReader, StateMachine } from "../../reference/apply/types.ts";
import type { Plant } from "../plant.ts";

/** A watch gets every event once, broken: what it reads back from the past begins one revision too late. */
export const skippedEvent: Plant = {
  name: "skipped-event",
  summary: "a watch that resumes in the past misses the first revision it should get",
  makeStateMachine: (backend) => {
    const machine = openStateMachine(backend);
    const mvcc = skipping(() => machine.mvcc);
    const lying: StateMachine = {
      get appliedIndex() {
        return machine.appliedIndex;
      },
      get appliedTerm() {
        return machine.appliedTerm;
      },
      get confState() {
        return machine.confState;
      },
      mvcc,
      get leases() {
        return machine.leases;
      },
      get memberAttributes() {
        return machine.memberAttributes;
      },
      get clusterVersion() {
        return machine.clusterVersion;
      },
      get alarms() {
        return machine.alarms;
      },
      apply: (entries) => machine.apply(entries),
      compactStep: (limit) => machine.compactStep(limit),
      range: (request) => machine.range(request),
      readTxn: (request) => machine.readTxn(request),
      hash: () => machine.hash(),
    };
    return lying;
  },
};

function skipping(reader: () => MvccReader): MvccReader {
  return {
    get currentRevision() {
      return reader().currentRevision;
    },
    get compactRevision() {
      return reader().compactRevision;
    },
    keyAt: (key, revision) => reader().keyAt(key, revision),
    eventsBetween(range, from, to, limit) {
      const { revisions, next } = reader().eventsBetween(range, from, to, limit);
      return { revisions: revisions.slice(1), next };
    },
    hashKv: (revision) => reader().hashKv(revision),
  };
}

/*
 * Caught by seed 2 (leader-loss): a watcher resumed on another member and read its past back.
 *   "watch 16: watch/0="0.169" (mod 601, create 601) was created anew after watch/0="0.163" (mod 583, create 583), but no deletion between was told"
 */
