import { assert } from "../../seams/assert.ts";
import { ConfChange as WireConfChange, ConfChangeType } from "../../api/etcd/gen/raft.ts";
import type { ConfChange, ConfState, NodeId } from "./types.ts";

/** The membership in effect here: that of the last applied change (Raft thesis 4.1, one server at a time). */
export class Membership {
  readonly #voters: Set<NodeId>;
  readonly #learners: Set<NodeId>;

  constructor(conf: ConfState) {
    this.#voters = new Set(conf.voters);
    this.#learners = new Set(conf.learners);
    for (const id of this.#learners) assert(!this.#voters.has(id), `member ${id} is a voter or a learner, not both`);
  }

  get voters(): ReadonlySet<NodeId> {
    return this.#voters;
  }

  get learners(): ReadonlySet<NodeId> {
    return this.#learners;
  }

  isVoter(id: NodeId): boolean {
    return this.#voters.has(id);
  }

  has(id: NodeId): boolean {
    return this.#voters.has(id) || this.#learners.has(id);
  }

  isOnlyVoter(id: NodeId): boolean {
    return this.#voters.size === 1 && this.#voters.has(id);
  }

  *everyone(): IterableIterator<NodeId> {
    yield* this.#voters;
    yield* this.#learners;
  }

  apply(change: ConfChange): void {
    this.#voters.delete(change.node);
    this.#learners.delete(change.node);
    if (change.type === "addVoter") this.#voters.add(change.node);
    if (change.type === "addLearner") this.#learners.add(change.node);
  }

  state(): ConfState {
    return { voters: sorted(this.#voters), learners: sorted(this.#learners) };
  }
}

function sorted(ids: ReadonlySet<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => (a < b ? -1 : 1));
}

/** A confChange entry's data is etcd's raftpb.ConfChange, so that etcd's log dump reads it. `context` is the edge's own. */
export function encodeConfChange(change: ConfChange, context: Uint8Array): Uint8Array {
  return WireConfChange.encode({ id: 0n, nodeId: change.node, type: wireType(change.type), context }).finish();
}

/** `undefined` for a kind of change that this store does not know: the edge then refuses it. Throws on malformed bytes. */
export function decodeConfChange(
  data: Uint8Array,
): { readonly change: ConfChange; readonly context: Uint8Array } | undefined {
  const wire = WireConfChange.decode(data);
  const type = ourType(wire.type);
  return type === undefined ? undefined : { change: { type, node: wire.nodeId as NodeId }, context: wire.context };
}

function wireType(type: ConfChange["type"]): ConfChangeType {
  if (type === "addVoter") return ConfChangeType.ConfChangeAddNode;
  return type === "addLearner" ? ConfChangeType.ConfChangeAddLearnerNode : ConfChangeType.ConfChangeRemoveNode;
}

function ourType(type: ConfChangeType): ConfChange["type"] | undefined {
  if (type === ConfChangeType.ConfChangeAddNode) return "addVoter";
  if (type === ConfChangeType.ConfChangeAddLearnerNode) return "addLearner";
  return type === ConfChangeType.ConfChangeRemoveNode ? "remove" : undefined;
}
