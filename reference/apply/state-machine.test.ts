import { beforeEach, describe, expect, test } from "vitest";
import { type DeepPartial, InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import { RangeRequest, TxnRequest } from "../../api/etcd/gen/rpc.ts";
import { memoryBackend } from "../mvcc/backend-memory.ts";
import type { Backend } from "../mvcc/backend.ts";
import type { Index, NodeId, Term } from "../raft/types.ts";
import { bytes } from "./arbitrary.ts";
import { errors } from "./errors.ts";
import { openStateMachine } from "./state-machine.ts";
import type { ApplyResult, StateMachine } from "./types.ts";

let backend: Backend;
let machine: StateMachine;

beforeEach(async () => {
  backend = await memoryBackend().open();
  machine = openStateMachine(backend);
});

function apply(request: DeepPartial<InternalRaftRequest>): ApplyResult {
  const [result] = machine.apply([
    { index: (machine.appliedIndex + 1) as Index, term: 1 as Term, request: InternalRaftRequest.fromPartial(request) },
  ]).results;
  return result as ApplyResult;
}

function put(key: string, value: string, more: DeepPartial<InternalRaftRequest["put"]> = {}): ApplyResult {
  return apply({ put: { key: bytes(key), value: bytes(value), ...more } });
}

function read(request: DeepPartial<RangeRequest> & { key: Uint8Array }): string {
  const answer = machine.range(RangeRequest.fromPartial(request));
  if ("code" in answer) return answer.message;
  return (
    answer.kvs.map((kv) => `${text(kv.key)}=${text(kv.value)}`).join(" ") +
    (answer.more ? " more" : "") +
    ` of ${answer.count}`
  );
}

function text(value: Uint8Array): string {
  return Buffer.from(value).toString("latin1");
}

function events(result: ApplyResult): string[] {
  return (result.events?.events ?? []).map(({ type, kv }) => `${type} ${text(kv.key)}@${kv.modRevision}`);
}

const all = { key: bytes("\0"), rangeEnd: bytes("\0") };

describe("puts and deletions", () => {
  test("each makes one revision, named in the header and in the events", () => {
    expect(put("a", "1").response).toMatchObject({
      kind: "put",
      message: { header: { revision: 2n }, prevKv: undefined },
    });
    const second = put("a", "2", { prevKv: true });
    expect(second.response).toMatchObject({
      message: {
        header: { revision: 3n },
        prevKv: { value: bytes("1"), version: 1n, createRevision: 2n, modRevision: 2n },
      },
    });
    expect(second.events).toMatchObject({
      revision: 3,
      events: [{ type: "put", kv: { createRevision: 2, modRevision: 3, version: 2 } }],
    });
  });

  test("a deletion tells how many and, asked, which; of nothing it makes no revision", () => {
    put("a", "1");
    put("b", "2");
    const deleted = apply({ deleteRange: { key: bytes("a"), rangeEnd: bytes("c"), prevKv: true } });
    expect(deleted.response).toMatchObject({
      message: { header: { revision: 4n }, deleted: 2n, prevKvs: [{ value: bytes("1") }, { value: bytes("2") }] },
    });
    expect(events(deleted)).toEqual(["delete a@4", "delete b@4"]);
    const nothing = apply({ deleteRange: { key: bytes("a") } });
    expect(nothing.response).toMatchObject({ message: { header: { revision: 4n }, deleted: 0n } });
    expect(nothing.events).toBeUndefined();
  });

  test("a deletion's event has only the key and the revision", () => {
    put("a", "1", {});
    const { events: told } = apply({ deleteRange: { key: bytes("a") } });
    expect(told?.events[0]?.kv).toMatchObject({
      modRevision: 3,
      createRevision: 0,
      version: 0,
      lease: 0n,
      value: new Uint8Array(0),
    });
  });

  test("a put may keep the value or the lease that is there, and fails if nothing is", () => {
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    put("a", "1", { lease: 7n });
    put("a", "", { ignoreValue: true });
    expect(machine.mvcc.keyAt(bytes("a"), 0)).toMatchObject({ value: bytes("1"), lease: 0n });
    put("a", "2", { lease: 7n });
    put("a", "3", { ignoreLease: true });
    expect(machine.mvcc.keyAt(bytes("a"), 0)).toMatchObject({ lease: 7n });
    expect(put("b", "", { ignoreValue: true }).error).toEqual(errors.keyNotFound);
  });
});

describe("transactions", () => {
  const txn = (success: DeepPartial<TxnRequest>["success"], more: DeepPartial<TxnRequest> = {}): ApplyResult =>
    apply({ txn: { success: success ?? [], ...more } });
  const putOp = (key: string, value: string) => ({
    request: { $case: "requestPut" as const, requestPut: { key: bytes(key), value: bytes(value) } },
  });
  const rangeOp = (more = {}) => ({ request: { $case: "requestRange" as const, requestRange: { ...all, ...more } } });
  const deleteOp = (key: string) => ({
    request: { $case: "requestDeleteRange" as const, requestDeleteRange: { key: bytes(key) } },
  });

  test("later operations see earlier ones, all in one revision with a sub-revision each", () => {
    put("a", "1");
    const result = txn([rangeOp(), putOp("b", "2"), deleteOp("a"), rangeOp()]);
    expect(events(result)).toEqual(["put b@3", "delete a@3"]);
    expect(result.response).toMatchObject({
      message: {
        header: { revision: 3n },
        succeeded: true,
        responses: [
          { response: { responseRange: { header: { revision: 2n }, kvs: [{ key: bytes("a") }], count: 1n } } },
          { response: { responsePut: { header: { revision: 3n } } } },
          { response: { responseDeleteRange: { header: { revision: 3n }, deleted: 1n } } },
          { response: { responseRange: { header: { revision: 3n }, kvs: [{ key: bytes("b") }], count: 1n } } },
        ],
      },
    });
    expect([...backend.range("key", bytes(""), undefined)].map(([key]) => key.length)).toEqual([17, 17, 18]);
  });

  test("one that only reads, or whose chosen branch is empty, makes no revision", () => {
    put("a", "1");
    expect(txn([rangeOp()]).events).toBeUndefined();
    const failed = txn([putOp("a", "2")], {
      compare: [{ key: bytes("a"), target: 0, targetUnion: { $case: "version", version: 9n } }],
    });
    expect(failed.response).toMatchObject({ message: { header: { revision: 2n }, succeeded: false, responses: [] } });
    expect(machine.mvcc.currentRevision).toBe(2);
  });

  test("nested ones choose their branches on the state before the whole", () => {
    const nested = {
      request: {
        $case: "requestTxn" as const,
        requestTxn: {
          compare: [{ key: bytes("a"), target: 0 as const, targetUnion: { $case: "version" as const, version: 0n } }],
          success: [putOp("b", "absent")],
          failure: [putOp("b", "present")],
        },
      },
    };
    const result = txn([putOp("a", "1"), nested]);
    expect(read({ key: bytes("b") })).toBe("b=absent of 1");
    expect(result.response).toMatchObject({
      message: {
        header: { revision: 2n },
        responses: [{}, { response: { responseTxn: { header: { revision: 0n }, succeeded: true } } }],
      },
    });
  });

  test("one bad operation fails the whole, with nothing applied", () => {
    const result = txn([putOp("a", "1"), rangeOp({ revision: 99n })]);
    expect(result.error).toEqual(errors.futureRev);
    expect(machine.mvcc.currentRevision).toBe(1);
    expect(
      txn([putOp("a", "1"), { request: { $case: "requestPut", requestPut: { key: bytes("b"), lease: 5n } } }]).error,
    ).toEqual(errors.leaseNotFound);
    put("k", "1");
    const kept = { request: { $case: "requestPut" as const, requestPut: { key: bytes("k"), ignoreValue: true } } };
    expect(txn([deleteOp("k"), kept]).error).toEqual(errors.keyNotFound);
    expect(read({ key: bytes("k") })).toBe("k=1 of 1");
  });

  test.each([
    ["an absent key has version 0", "x", 0, { $case: "version", version: 0n }, 0, "", true],
    ["an absent key has no value, not even the empty one", "x", 3, { $case: "value", value: bytes("") }, 0, "", false],
    ["value greater", "a", 3, { $case: "value", value: bytes("0") }, 1, "", true],
    ["value not equal", "a", 3, { $case: "value", value: bytes("1") }, 3, "", false],
    ["mod revision less", "a", 2, { $case: "modRevision", modRevision: 3n }, 2, "", true],
    ["created", "b", 1, { $case: "createRevision", createRevision: 4n }, 0, "", true],
    ["lease", "b", 4, { $case: "lease", lease: 7n }, 0, "", true],
    ["no lease", "a", 4, { $case: "lease", lease: 0n }, 0, "", true],
    ["a range: all must hold", "a", 0, { $case: "version", version: 1n }, 0, "\0", true],
    ["a range: one does not", "a", 2, { $case: "modRevision", modRevision: 2n }, 0, "\0", false],
    ["a missing expectation is zero", "x", 1, undefined, 0, "", true],
  ] as const)("compares: %s", (_, key, target, targetUnion, result, rangeEnd, expected) => {
    put("a", "1");
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    put("c", "1");
    put("b", "1", { lease: 7n });
    const answer = machine.readTxn(
      TxnRequest.fromPartial({
        compare: [{ key: bytes(key), rangeEnd: bytes(rangeEnd), target, ...(targetUnion && { targetUnion }), result }],
      }),
    );
    expect(answer).toMatchObject({ succeeded: expected });
  });

  test("a transaction with writes cannot pass as a read", () => {
    expect(() => machine.readTxn(TxnRequest.fromPartial({ failure: [putOp("a", "1")] }))).toThrow(
      "goes through the log",
    );
  });
});

describe("ranges", () => {
  beforeEach(() => {
    for (const [key, value] of [
      ["a", "3"],
      ["b", "1"],
      ["c", "2"],
      ["a", "9"],
    ] as const)
      put(key, value);
  });

  test.each([
    ["all", all, "a=9 b=1 c=2 of 3"],
    ["a limit, and what is left", { ...all, limit: 2n }, "a=9 b=1 more of 3"],
    ["a limit that is not reached", { ...all, limit: 3n }, "a=9 b=1 c=2 of 3"],
    ["keys only", { ...all, keysOnly: true }, "a= b= c= of 3"],
    ["a count only", { ...all, countOnly: true, limit: 1n }, " of 3"],
    ["the past", { ...all, revision: 2n }, "a=3 of 1"],
    ["by value", { ...all, sortTarget: 4, sortOrder: 1 }, "b=1 c=2 a=9 of 3"],
    [
      "by modification, descending, the newest one",
      { ...all, sortTarget: 3, sortOrder: 2, limit: 1n },
      "a=9 more of 3",
    ],
    ["by key, descending", { ...all, sortOrder: 2, limit: 2n }, "c=2 b=1 more of 3"],
    // etcd sorts by another target even without an order, but only what the limit (and one more) let through.
    ["a target without an order", { ...all, sortTarget: 4, limit: 1n }, "b=1 more of 3"],
    ["revision bounds do not change the count", { ...all, minModRevision: 4n }, "a=9 c=2 of 3"],
    ["creation bounds", { ...all, maxCreateRevision: 3n, minCreateRevision: 3n }, "b=1 of 3"],
    ["modified at most", { ...all, maxModRevision: 3n }, "b=1 of 3"],
    ["the future", { ...all, revision: 6n }, "etcdserver: mvcc: required revision is a future revision"],
    ["a sort target that there is not", { ...all, sortTarget: 9 as 0 }, "a=9 b=1 c=2 of 3"],
  ] as const)("%s", (_, request, expected) => {
    expect(read(request)).toBe(expected);
  });
});

describe("compaction", () => {
  test("hides the past at once and removes it in slices; the present stays", () => {
    for (let i = 0; i < 250; i++) put(`k${i % 100}`, String(i));
    expect(apply({ compaction: { revision: 200n } })).toMatchObject({
      compacted: 200,
      response: { message: { header: { revision: 251n } } },
    });
    expect(read({ key: bytes("k98"), revision: 199n })).toBe("etcdserver: mvcc: required revision has been compacted");
    expect(read({ key: bytes("k98"), revision: 200n })).toBe("k98=198 of 1");
    const stored = (): number => [...backend.range("key", bytes(""), undefined)].length;
    expect(stored()).toBe(250);
    // With each batch of entries a slice goes.
    put("b", "1");
    expect(stored()).toBeLessThan(251);
    let steps = 0;
    while (!machine.compactStep(10).done) steps++;
    expect(steps).toBeGreaterThan(5);
    // Of revisions 2 to 200 the newest of each of 100 keys, then 201 to 251, and the last put.
    expect(stored()).toBe(100 + 51 + 1);
    expect(machine.compactStep().done).toBe(true);
  });

  test("goes on after a restart, and from one compaction to the next", () => {
    for (let i = 0; i < 50; i++) put("a", String(i));
    apply({ deleteRange: { key: bytes("a") } });
    apply({ compaction: { revision: 30n } });
    machine = openStateMachine(backend);
    machine.compactStep(3);
    apply({ compaction: { revision: 52n } });
    while (!machine.compactStep(7).done);
    expect([...backend.range("key", bytes(""), undefined)].length).toBe(1);
    put("b", "1");
    apply({ compaction: { revision: 53n } });
    while (!machine.compactStep(7).done);
    expect([...backend.range("key", bytes(""), undefined)].length).toBe(1);
    machine = openStateMachine(backend);
    expect([machine.mvcc.currentRevision, machine.mvcc.compactRevision]).toEqual([53, 53]);
  });

  test("of what is compacted already, or not yet there, is refused", () => {
    put("a", "1");
    put("a", "2");
    expect(apply({ compaction: { revision: 4n } }).error).toEqual(errors.futureRev);
    expect(apply({ compaction: { revision: 2n } }).error).toBeUndefined();
    expect(apply({ compaction: { revision: 2n } }).error).toEqual(errors.compacted);
    expect(apply({ compaction: { revision: -1n } }).error).toEqual(errors.compacted);
  });
});

describe("leases", () => {
  test("a grant is answered and told to the lessor; a second one with the id, none, or too long a one is refused", () => {
    expect(apply({ leaseGrant: { ID: 7n, TTL: 60n } })).toMatchObject({
      response: { message: { ID: 7n, TTL: 60n, header: { revision: 1n } } },
      leases: { granted: { id: 7n, ttlSeconds: 60 } },
    });
    expect(apply({ leaseGrant: { ID: 7n, TTL: 60n } }).error).toEqual(errors.leaseExist);
    expect(apply({ leaseGrant: { ID: 0n, TTL: 60n } }).error).toEqual(errors.leaseNotFound);
    expect(apply({ leaseGrant: { ID: 8n, TTL: 9_000_000_001n } }).error).toEqual(errors.leaseTtlTooLarge);
    expect(apply({ leaseGrant: { ID: 8n, TTL: -5n } }).leases?.granted).toEqual({ id: 8n, ttlSeconds: 0 });
  });

  test("a revoke deletes its keys in one revision, in order, and no others", () => {
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    apply({ leaseGrant: { ID: 8n, TTL: 60n } });
    for (const key of ["b", "\xff", "a", "moved", "freed"]) put(key, "1", { lease: 7n });
    put("moved", "2", { lease: 8n });
    put("freed", "2");
    const revoked = apply({ leaseRevoke: { ID: 7n } });
    expect(events(revoked)).toEqual(["delete a@9", "delete b@9", "delete \xff@9"]);
    expect(revoked).toMatchObject({ leases: { revoked: 7n }, response: { message: { header: { revision: 9n } } } });
    expect([...(machine.leases.get(8n)?.keys ?? [])]).toEqual(["moved"]);
    expect(apply({ leaseRevoke: { ID: 7n } }).error).toEqual(errors.leaseNotFound);
  });

  test("one without keys goes without a revision", () => {
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    expect(apply({ leaseRevoke: { ID: 7n } }).events).toBeUndefined();
    expect(machine.mvcc.currentRevision).toBe(1);
  });

  test("a put to a lease that is not there changes nothing, but the index goes on", () => {
    const before = machine.hash();
    expect(put("a", "1", { lease: 5n }).error).toEqual({ code: 5, message: "etcdserver: requested lease not found" });
    expect(machine.hash()).toBe(before);
    expect(machine.appliedIndex).toBe(1);
    expect(openStateMachine(backend).appliedIndex).toBe(1);
  });

  test("a deleted key leaves its lease; a checkpoint is kept; a restart knows it all", () => {
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    put("a", "1", { lease: 7n });
    put("b", "1", { lease: 7n });
    apply({ deleteRange: { key: bytes("a") } });
    expect(
      apply({
        leaseCheckpoint: {
          checkpoints: [
            { ID: 7n, remainingTTL: 12n },
            { ID: 99n, remainingTTL: 1n },
          ],
        },
      }).leases?.checkpoints,
    ).toEqual([{ id: 7n, remainingSeconds: 12 }]);
    const expected = new Map([[7n, { ttlSeconds: 60, remainingSeconds: 12, keys: new Set(["b"]) }]]);
    expect(machine.leases).toEqual(expected);
    expect(openStateMachine(backend).leases).toEqual(expected);
  });
});

describe("alarms", () => {
  test("out of space: puts and grants fail with etcd's words, deletions go on, until it is taken back", () => {
    put("a", "1");
    expect(apply({ alarm: { action: 1, memberID: 3n, alarm: 1 } }).response).toMatchObject({
      message: { alarms: [{ memberID: 3n, alarm: 1 }] },
    });
    machine = openStateMachine(backend);
    expect(put("a", "2").error).toEqual({ code: 8, message: "etcdserver: mvcc: database space exceeded" });
    const putting = { request: { $case: "requestPut" as const, requestPut: { key: bytes("a") } } };
    expect(
      apply({ txn: { failure: [{ request: { $case: "requestTxn", requestTxn: { success: [putting] } } }] } }).error,
    ).toEqual(errors.noSpace);
    expect(apply({ leaseGrant: { ID: 7n, TTL: 60n } }).error).toEqual(errors.noSpace);
    expect(apply({ deleteRange: { key: bytes("a") } }).error).toBeUndefined();
    expect(
      apply({
        txn: { success: [{ request: { $case: "requestDeleteRange", requestDeleteRange: { key: bytes("a") } } }] },
      }).error,
    ).toBeUndefined();
    expect(apply({ compaction: { revision: 3n } }).error).toBeUndefined();
    expect(apply({ alarm: { action: 2, memberID: 3n, alarm: 1 } }).response).toMatchObject({
      message: { alarms: [{ memberID: 3n }] },
    });
    expect(put("a", "2").error).toBeUndefined();
  });

  test("corruption refuses every access that goes through the log", () => {
    apply({ leaseGrant: { ID: 7n, TTL: 60n } });
    apply({ alarm: { action: 1, memberID: 3n, alarm: 2 } });
    const requests = [
      { put: { key: bytes("a") } },
      { deleteRange: { key: bytes("a") } },
      { txn: {} },
      { range: { key: bytes("a") } },
      { compaction: { revision: 1n } },
      { leaseGrant: { ID: 8n } },
      { leaseRevoke: { ID: 7n } },
    ];
    for (const request of requests)
      expect(apply(request).error).toEqual({ code: 15, message: "etcdserver: corrupt cluster" });
    expect(apply({ alarm: { action: 0, alarm: 0 } }).response).toMatchObject({
      message: { alarms: [{ memberID: 3n, alarm: 2 }] },
    });
  });

  test("activating twice is once; taking back what is not there, or activating none, does nothing", () => {
    for (let i = 0; i < 2; i++) apply({ alarm: { action: 1, memberID: 3n, alarm: 1 } });
    expect(machine.alarms.length).toBe(1);
    expect(apply({ alarm: { action: 2, memberID: 4n, alarm: 1 } }).response).toMatchObject({ message: { alarms: [] } });
    expect(apply({ alarm: { action: 1, memberID: 4n, alarm: 0 } }).response).toMatchObject({ message: { alarms: [] } });
    expect(apply({ alarm: { action: 0, alarm: 2 } }).response).toMatchObject({ message: { alarms: [] } });
  });
});

describe("the log", () => {
  test("entries are taken in order, each once", () => {
    const entry = (index: number, term: number) => ({ index: index as Index, term: term as Term, request: undefined });
    machine.apply([entry(1, 2), entry(2, 2)]);
    expect(() => machine.apply([entry(2, 2)])).toThrow("each once");
    expect(() => machine.apply([entry(4, 2)])).toThrow("each once");
    expect(() => machine.apply([entry(3, 1)])).toThrow("never go back");
  });

  test("a no-op and a membership entry advance the index; the membership is kept", () => {
    const confState = { voters: [1n, 2n ** 64n - 1n] as NodeId[], learners: [3n] as NodeId[] };
    expect(machine.confState).toBeUndefined();
    machine.apply([
      { index: 1 as Index, term: 1 as Term, request: undefined },
      { index: 2 as Index, term: 3 as Term, request: undefined, confState },
    ]);
    const again = openStateMachine(backend);
    expect([again.appliedIndex, again.appliedTerm, again.confState]).toEqual([2, 3, confState]);
  });

  test("the proposer finds its answer by the request's id", () => {
    expect(apply({ header: { ID: 42n }, put: { key: bytes("a") } })).toMatchObject({ index: 1, requestId: 42n });
    expect(apply({ put: { key: bytes("a") } }).requestId).toBe(0n);
  });

  test("several entries in one batch are one commit, and see each other", () => {
    let commits = 0;
    const commit = backend.commit.bind(backend);
    backend.commit = (batch) => {
      commits++;
      return commit(batch);
    };
    const entries = [
      { put: { key: bytes("a"), value: bytes("1") } },
      {
        txn: {
          compare: [
            { key: bytes("a"), target: 3 as const, targetUnion: { $case: "value" as const, value: bytes("1") } },
          ],
          success: [
            {
              request: {
                $case: "requestPut" as const,
                requestPut: { key: bytes("a"), value: bytes("2"), prevKv: true },
              },
            },
          ],
        },
      },
      { compaction: { revision: 3n } },
    ].map((request, i) => ({
      index: (i + 1) as Index,
      term: 1 as Term,
      request: InternalRaftRequest.fromPartial(request),
    }));
    const { results } = machine.apply(entries);
    expect(results.map((result) => result.error)).toEqual([undefined, undefined, undefined]);
    expect(commits).toBe(1);
    expect(read(all)).toBe("a=2 of 1");
  });

  test("what members say of themselves is kept; what we do not know is refused, and the index goes on", () => {
    apply({
      clusterMemberAttrSet: {
        memberID: 2n ** 63n,
        memberAttributes: { name: "one", clientUrls: ["http://127.0.0.1:1"] },
      },
    });
    apply({ clusterVersionSet: { ver: "3.6.0" } });
    machine = openStateMachine(backend);
    expect(machine.memberAttributes.get(2n ** 63n)).toEqual({ name: "one", clientUrls: ["http://127.0.0.1:1"] });
    expect(machine.clusterVersion).toBe("3.6.0");
    expect(apply({ authEnable: {} }).error).toEqual(errors.notCapable);
    expect(machine.appliedIndex).toBe(3);
  });
});
