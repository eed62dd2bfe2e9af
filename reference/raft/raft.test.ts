import { describe, expect, it } from "vitest";
import { createRaft } from "./raft.ts";
import {
  NOBODY,
  type Index,
  type Message,
  type NodeId,
  type RaftConfig,
  type RaftCore,
  type Ready,
  type Term,
} from "./types.ts";

const [one, two, three] = [1n, 2n, 3n] as [NodeId, NodeId, NodeId];

function config(more: Partial<RaftConfig> = {}): RaftConfig {
  return {
    id: one,
    confState: { voters: [one, two, three], learners: [] },
    hardState: { term: 0 as Term, vote: NOBODY, commit: 0 as Index },
    snapshot: { index: 0 as Index, term: 0 as Term },
    entries: [],
    applied: 0 as Index,
    electionTicks: 10,
    heartbeatTicks: 1,
    preVote: true,
    checkQuorum: true,
    random: { below: () => 0 },
    maxBytesPerAppend: 1024,
    maxInflightAppends: 4,
    maxUncommittedBytes: 1024,
    ...more,
  };
}

function drain(core: RaftCore): Ready[] {
  const readies: Ready[] = [];
  for (let ready = core.ready(); ready !== undefined; ready = core.ready()) readies.push(ready);
  return readies;
}

function message(more: Pick<Message, "type"> & Partial<Message>): Message {
  return { from: two, to: one, term: 1 as Term, ...more };
}

const value = new TextEncoder().encode("x");

describe("a Ready", () => {
  it("is undefined when nothing happened, and names each thing once", () => {
    const core = createRaft(config());
    expect(core.ready()).toBeUndefined();
    core.step(message({ type: "heartbeat", commit: 0 as Index }));
    const [ready, ...more] = drain(core);
    expect(ready?.softState).toEqual({ leader: two, role: "follower" });
    expect(ready?.hardState).toEqual({ term: 1, vote: NOBODY, commit: 0 });
    expect(ready?.messages.map((m) => m.type)).toEqual(["heartbeatResponse"]);
    expect(more).toEqual([]);
  });

  it("needs a sync for a term, a vote or entries, but not for a commit index", () => {
    const core = createRaft(config());
    const entries = [{ index: 1 as Index, term: 1 as Term, type: "normal" as const, data: value }];
    core.step(message({ type: "append", index: 0 as Index, logTerm: 0 as Term, entries, commit: 0 as Index }));
    expect(drain(core).map((ready) => ready.mustSync)).toEqual([true]);
    core.persisted(1 as Index, 1 as Term);
    core.step(message({ type: "heartbeat", commit: 1 as Index }));
    expect(drain(core).map(({ mustSync, committed }) => [mustSync, committed.length])).toEqual([[false, 1]]);
  });

  it("makes a repeated acknowledgement wait for the write it repeats", () => {
    const core = createRaft(config());
    const entries = [{ index: 1 as Index, term: 1 as Term, type: "normal" as const, data: value }];
    const append = message({ type: "append", index: 0 as Index, logTerm: 0 as Term, entries, commit: 0 as Index });
    core.step(append);
    drain(core);
    core.step(append);
    const [repeated] = drain(core);
    expect([repeated?.entries.length, repeated?.afterPersist.length, repeated?.mustSync]).toEqual([0, 1, true]);
  });

  it("keeps a candidacy, a vote and an acknowledgement until after the write", () => {
    const core = createRaft(config({ preVote: false }));
    core.campaign();
    core.step(message({ type: "vote", term: 5 as Term, index: 0 as Index, logTerm: 0 as Term }));
    const readies = drain(core);
    expect(readies.flatMap((ready) => ready.messages)).toEqual([]);
    expect(readies.flatMap((ready) => ready.afterPersist.map((m) => m.type))).toEqual(["vote", "vote", "voteResponse"]);
  });
});

describe("a restart", () => {
  it("refuses a log that lost what was committed", () => {
    expect(() => createRaft(config({ hardState: { term: 1 as Term, vote: NOBODY, commit: 4 as Index } }))).toThrow(
      "the log ends at 0, before 4",
    );
  });

  it("keeps term and vote: no second vote in a term", () => {
    const core = createRaft(config({ hardState: { term: 3 as Term, vote: two, commit: 0 as Index } }));
    core.step(message({ type: "vote", from: three, term: 3 as Term, index: 9 as Index, logTerm: 2 as Term }));
    expect(drain(core)[0]?.afterPersist).toEqual([
      { type: "voteResponse", to: three, from: one, term: 3, reject: true },
    ]);
  });
});

describe("without a leader", () => {
  it("proposals and changes are dropped, reads are lost, and the rest does nothing", () => {
    const core = createRaft(config());
    expect(core.propose(value)).toBe("dropped");
    expect(core.proposeConfChange({ type: "remove", node: two }, value)).toBe("dropped");
    core.readIndex(value);
    core.transferLeader(two);
    core.reportUnreachable(two);
    core.reportSnapshot(two, true);
    core.persisted(7 as Index, 7 as Term);
    core.snapshotInstalled(7 as Index);
    expect(core.ready()).toBeUndefined();
  });

  it("a member outside the membership never campaigns", () => {
    const core = createRaft(config({ id: 9n as NodeId }));
    for (let i = 0; i < 100; i++) core.tick();
    core.campaign();
    expect(core.status().role).toBe("follower");
  });
});

describe("messages that make no sense", () => {
  it.each<Message>([
    message({ type: "appendResponse", index: 99 as Index }),
    message({ type: "appendResponse", from: 9n as NodeId, index: 1 as Index }),
    message({ type: "heartbeatResponse", from: 9n as NodeId }),
    message({ type: "voteResponse" }),
    message({ type: "readIndex", term: 0 as Term }),
    message({ type: "propose", term: 0 as Term }),
    message({ type: "transferLeader" }),
    message({ type: "transferLeader", context: Uint8Array.of(1) }),
    message({ type: "append" }),
    message({ type: "snapshot" }),
  ])("change nothing on a leader: $type $index", (odd) => {
    const core = createRaft(config({ preVote: false }));
    core.campaign();
    core.step(message({ type: "voteResponse" }));
    drain(core);
    const before = core.status();
    core.step(odd);
    expect(drain(core)).toEqual([]);
    expect(core.status()).toEqual(before);
  });
});

it("an answer to a round that never began confirms no read", () => {
  const core = createRaft(config({ preVote: false }));
  core.campaign();
  core.step(message({ type: "voteResponse" }));
  drain(core);
  core.step(message({ type: "appendResponse", index: 1 as Index }));
  core.persisted(1 as Index, 1 as Term);
  core.readIndex(value);
  const round = drain(core)
    .flatMap((ready) => ready.messages)
    .find((m) => m.type === "heartbeat")?.context;
  core.step(message({ type: "heartbeatResponse", context: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 9) }));
  expect(drain(core).flatMap((ready) => ready.readStates)).toEqual([]);
  core.step(message({ type: "heartbeatResponse", ...(round && { context: round }) }));
  expect(drain(core).flatMap((ready) => ready.readStates)).toEqual([{ index: 1, context: value }]);
});

it("a member with a committed change that it has not applied does not campaign: its majority may be gone", () => {
  const change = { index: 1 as Index, term: 1 as Term, type: "confChange" as const, data: new Uint8Array(0) };
  const core = createRaft(
    config({ preVote: false, entries: [change], hardState: { term: 1 as Term, vote: two, commit: 1 as Index } }),
  );
  drain(core);
  core.campaign();
  expect(core.status().role).toBe("follower");
  core.applyConfChange(undefined);
  core.applied(1 as Index);
  core.campaign();
  expect(core.status().role).toBe("candidate");
});
