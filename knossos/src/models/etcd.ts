import type { EtcdView } from "../etcd/evaluate.ts";
import { evaluate } from "../etcd/evaluate.ts";
import { matchKv, showKv } from "../etcd/match.ts";
import { compareUtf8 } from "../etcd/order.ts";
import { readInitial } from "../etcd/problem.ts";
import { isReadOnly, isRequest } from "../etcd/requests.ts";
import { hashText, mix } from "../hashing.ts";
import type { Model } from "../model.ts";
import type { Entries, Tree } from "../persistent-map.ts";
import { between, equalTrees, insert, lookUp, remove } from "../persistent-map.ts";
import type { EtcdAnswer, EtcdInput, EtcdKv, EtcdOutput } from "./etcd-types.ts";

/** The whole store at one revision; its past stays reachable, shared with the states it came from. */
export interface EtcdState {
  readonly revision: number;
  readonly compactRevision: number;
  readonly kvs: Tree<EtcdKv> | undefined;
  readonly leases: Tree<true> | undefined;
  /** The state at the revision before. */
  readonly past: EtcdState | undefined;
  readonly hash: number;
}

const KVS: Entries<EtcdKv> = {
  compare: compareUtf8,
  hash: (kv) =>
    mix(mix(hashText(kv.value), kv.modRevision), mix(kv.version, mix(kv.createRevision, hashText(kv.lease ?? "0")))),
  equal: (a, b) => matchKv(a, b) === undefined,
};
const LEASES: Entries<true> = { compare: compareUtf8, hash: () => 1, equal: () => true };

function make(fields: Omit<EtcdState, "hash">): EtcdState {
  const now = mix(mix(fields.revision, fields.compactRevision), mix(fields.kvs?.hash ?? 0, fields.leases?.hash ?? 0));
  return { ...fields, hash: mix(now, fields.past?.hash ?? 0) };
}

/**
 * etcd's MVCC store as one object: header revisions, txns over many keys, ranges and leases couple the keys. For whole histories
 * `checkEtcd` is quicker, guided by the revisions; this model is for the general engines and for those who write tests.
 * Keepalives and time-to-live are not ordered by any revision and are always allowed; a lease that expires is an operation in doubt of its
 * own (`lease-revoke` without an answer).
 */
export const etcd: Model<EtcdState, EtcdInput, EtcdOutput> = {
  name: "etcd",
  init(initial) {
    const { revision, compactRevision, kvs, leases } = readInitial(initial);
    let tree: Tree<EtcdKv> | undefined;
    for (const kv of kvs) tree = insert(KVS, tree, kv.key, kv);
    let granted: Tree<true> | undefined;
    for (const id of leases) granted = insert(LEASES, granted, id, true);
    return make({ revision, compactRevision, kvs: tree, leases: granted, past: undefined });
  },
  step(state, input, output) {
    const next = isRequest(input)
      ? stepRequest(state, input, output as EtcdAnswer | undefined)
      : stepOther(state, input, output);
    return next === undefined ? [] : [next];
  },
  hash: (state) => state.hash,
  equal(a, b) {
    let x: EtcdState | undefined = a;
    let y: EtcdState | undefined = b;
    for (; x !== y; x = x.past, y = y.past) {
      if (
        x === undefined ||
        y === undefined ||
        x.hash !== y.hash ||
        x.revision !== y.revision ||
        x.compactRevision !== y.compactRevision
      )
        return false;
      if (!equalTrees(KVS, x.kvs, y.kvs) || !equalTrees(LEASES, x.leases, y.leases)) return false;
    }
    return true;
  },
  isReadOnly: (input) => isReadOnly(input) || input.f === "lease-keepalive" || input.f === "lease-time-to-live",
  describe: (input, output) => `${JSON.stringify(input)}${output === undefined ? "" : ` -> ${JSON.stringify(output)}`}`,
  describeState(state) {
    const kvs = [...between(KVS, state.kvs, () => "in")].map(([, kv]) => showKv(kv));
    return `revision ${state.revision}: ${kvs.length === 0 ? "empty" : kvs.join(", ")}`;
  },
};

function viewOf(state: EtcdState): EtcdView {
  const at = (revision: number): EtcdState | undefined => {
    let found: EtcdState | undefined = state;
    while (found !== undefined && found.revision > revision) found = found.past;
    return found;
  };
  return {
    revision: state.revision,
    compactRevision: state.compactRevision,
    get firstRevision() {
      let oldest = state;
      while (oldest.past !== undefined) oldest = oldest.past;
      return oldest.revision;
    },
    get: (key, revision) => lookUp(KVS, at(revision)?.kvs, key),
    range(start, end, revision) {
      const tree = at(revision)?.kvs;
      if (end === undefined || end === "") {
        const kv = lookUp(KVS, tree, start);
        return kv === undefined ? [] : [kv];
      }
      const inside = (key: string): "before" | "in" | "after" =>
        compareUtf8(key, start) < 0 ? "before" : end === "\0" || compareUtf8(key, end) < 0 ? "in" : "after";
      return [...between(KVS, tree, inside)].map(([, kv]) => kv);
    },
    hasLease: (id) => lookUp(LEASES, state.leases, id) === true,
  };
}

function stepRequest(
  state: EtcdState,
  input: Parameters<typeof evaluate>[1],
  output: EtcdAnswer | undefined,
): EtcdState | undefined {
  const { changes } = evaluate(viewOf(state), input, output);
  // Nobody was told: where the store would have refused it, nothing happened.
  if (changes === undefined) return output === undefined ? state : undefined;
  const revision = state.revision + (changes.size > 0 ? 1 : 0);
  if (output?.revision !== undefined && output.revision !== revision) return undefined;
  if (changes.size === 0) return state;
  let { kvs } = state;
  for (const [key, kv] of changes) kvs = kv === undefined ? remove(KVS, kvs, key) : insert(KVS, kvs, key, kv);
  return make({ revision, compactRevision: state.compactRevision, kvs, leases: state.leases, past: state });
}

function stepOther(
  state: EtcdState,
  input: Exclude<EtcdInput, Parameters<typeof evaluate>[1]>,
  output: EtcdOutput | undefined,
): EtcdState | undefined {
  const refused = output === undefined ? state : undefined;
  switch (input.f) {
    case "lease-keepalive":
    case "lease-time-to-live":
      return state;
    case "lease-grant": {
      const id = output?.f === "lease-grant" ? output.id : input.id;
      if (lookUp(LEASES, state.leases, id) === true || id === "0") return refused;
      return told(make({ ...state, leases: insert(LEASES, state.leases, id, true) }), output);
    }
    case "lease-revoke": {
      if (lookUp(LEASES, state.leases, input.id) !== true) return refused;
      const leases = remove(LEASES, state.leases, input.id);
      const attached = [...between(KVS, state.kvs, () => "in")].filter(([, kv]) => kv.lease === input.id);
      if (attached.length === 0) return told(make({ ...state, leases }), output);
      let { kvs } = state;
      for (const [key] of attached) kvs = remove(KVS, kvs, key);
      return told(
        make({ revision: state.revision + 1, compactRevision: state.compactRevision, kvs, leases, past: state }),
        output,
      );
    }
    case "compact":
      if (input.revision > state.revision || input.revision <= state.compactRevision) return refused;
      return told(make({ ...state, compactRevision: input.revision }), output);
  }
}

/** The state, if the header of the answer fits it. */
function told(state: EtcdState, output: EtcdOutput | undefined): EtcdState | undefined {
  return output?.revision === undefined || output.revision === state.revision ? state : undefined;
}
