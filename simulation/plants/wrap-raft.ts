import type { RaftCore } from "../../reference/raft/types.ts";

/** The core with some of its methods replaced; the rest goes through. */
export function wrapRaft(core: RaftCore, replace: (core: RaftCore) => Partial<RaftCore>): RaftCore {
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
    ready: () => core.ready(),
    persisted: (index, term) => core.persisted(index, term),
    snapshotInstalled: (index) => core.snapshotInstalled(index),
    applied: (index) => core.applied(index),
    ...replace(core),
  };
}
