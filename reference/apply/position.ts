import type { NodeId } from "../../seams/network.ts";
import type { Backend, BackendWrite, Bucket } from "../mvcc/backend.ts";
import { readUint64, writeUint64 } from "../mvcc/revision.ts";
import type { ConfState, Index, Term } from "../raft/types.ts";

const APPLIED = Buffer.from("applied");
const CONF_STATE = Buffer.from("confState");

/** How far the log is in this backend: written in the same commit as the effects of the entries, or replay would repeat or skip some. */
export interface Position {
  readonly index: Index;
  readonly term: Term;
}

export function loadPosition(backend: Backend): Position {
  const value = backend.get("meta", APPLIED);
  if (value === undefined) return { index: 0 as Index, term: 0 as Term };
  return { index: readUint64(value, 0) as Index, term: readUint64(value, 8) as Term };
}

export function positionWrite(position: Position): BackendWrite {
  const value = Buffer.allocUnsafe(16);
  writeUint64(value, 0, position.index);
  writeUint64(value, 8, position.term);
  return { op: "put", bucket: "meta", key: APPLIED, value };
}

export function loadConfState(backend: Backend): ConfState | undefined {
  const value = backend.get("meta", CONF_STATE);
  if (value === undefined) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const ids = Array.from({ length: (value.length - 4) / 8 }, (_, i) => view.getBigUint64(4 + i * 8) as NodeId);
  const voters = view.getUint32(0);
  return { voters: ids.slice(0, voters), learners: ids.slice(voters) };
}

/** Number of voters, then the ids of voters and learners. */
export function confStateWrite(state: ConfState): BackendWrite {
  const ids = [...state.voters, ...state.learners];
  const value = new Uint8Array(4 + ids.length * 8);
  const view = new DataView(value.buffer);
  view.setUint32(0, state.voters.length);
  ids.forEach((id, i) => view.setBigUint64(4 + i * 8, id));
  return { op: "put", bucket: "meta", key: CONF_STATE, value };
}

/** What a hash over the whole backend must leave out: members stand at different places of the log, and of a compaction's clean-up. */
export function mayDifferBetweenMembers(bucket: Bucket, key: Uint8Array): boolean {
  return bucket === "meta" && (APPLIED.equals(key) || Buffer.from("finishedCompactRev").equals(key));
}
