import {
  AlarmRequest_AlarmAction,
  type AlarmRequest,
  type AlarmResponse,
  type HashKVRequest,
  type HashKVResponse,
  type HashResponse,
  type StatusResponse,
} from "../../api/etcd/gen/rpc.ts";
import { NOBODY } from "../raft/types.ts";
import { refusal, unimplemented } from "./errors.ts";
import type { Member } from "./member.ts";
import { ETCD_VERSION, STORAGE_VERSION } from "./version.ts";

/** etcdserverpb.Maintenance, without a transport. What it reports is this member's own state, not the cluster's. */
export class MaintenanceHandlers {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  async status(): Promise<StatusResponse> {
    const member = this.#member;
    const { machine, leader, term } = member;
    const { commit } = member.status();
    const { allocated, inUse } = member.sizeBytes();
    const alarms = machine.alarms.map(
      ({ memberID, alarm }) => `memberID:${memberID} alarm:${ALARM_NAMES[alarm] ?? alarm} `,
    );
    return {
      header: member.header(),
      version: ETCD_VERSION,
      dbSize: BigInt(allocated),
      leader,
      raftIndex: BigInt(commit),
      raftTerm: BigInt(term),
      raftAppliedIndex: BigInt(machine.appliedIndex),
      errors: leader === NOBODY ? [refusal("noLeader").message, ...alarms] : alarms,
      dbSizeInUse: BigInt(inUse),
      isLearner: false,
      storageVersion: STORAGE_VERSION,
      // None is enforced: 0, as from members that know no quota.
      dbSizeQuota: 0n,
      downgradeInfo: { enabled: false, targetVersion: "" },
    };
  }

  async hash(): Promise<HashResponse> {
    return { header: this.#member.header(), hash: this.#member.machine.hash() };
  }

  async hashKV(request: HashKVRequest): Promise<HashKVResponse> {
    const { mvcc } = this.#member.machine;
    const revision = Number(request.revision);
    if (revision > mvcc.currentRevision) throw refusal("futureRevision");
    if (revision > 0 && revision < mvcc.compactRevision) throw refusal("compacted");
    const { hash, compactRevision, hashRevision } = mvcc.hashKv(revision);
    return {
      header: this.#member.header(),
      hash,
      compactRevision: BigInt(compactRevision),
      hashRevision: BigInt(hashRevision),
    };
  }

  async alarm(request: AlarmRequest): Promise<AlarmResponse> {
    if (request.action !== AlarmRequest_AlarmAction.GET) throw unimplemented("raising or disarming an alarm by hand");
    await this.#member.linearizable();
    return { header: this.#member.header(), alarms: this.#member.machine.alarms.map((alarm) => ({ ...alarm })) };
  }

  async defragment(): Promise<never> {
    throw unimplemented("defragmentation");
  }

  async moveLeader(): Promise<never> {
    throw unimplemented("moving the leader by request");
  }

  async downgrade(): Promise<never> {
    throw unimplemented("a downgrade");
  }

  // eslint-disable-next-line require-yield -- it refuses before the first chunk
  async *snapshot(): AsyncIterable<never> {
    throw unimplemented("a database snapshot by request");
  }
}

const ALARM_NAMES: readonly string[] = ["NONE", "NOSPACE", "CORRUPT"];
