import type { MemberListRequest, MemberListResponse } from "../../api/etcd/gen/rpc.ts";
import { unimplemented } from "./errors.ts";
import type { Member } from "./member.ts";

/** etcdserverpb.Cluster, without a transport. The membership is that of the initial cluster; changing it comes later. */
export class ClusterHandlers {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  async memberList(request: MemberListRequest): Promise<MemberListResponse> {
    if (request.linearizable) await this.#member.linearizable();
    // etcd's header here carries no revision, only who answers and the term.
    return { header: this.#member.header(0), members: this.#member.members.list() };
  }

  async memberAdd(): Promise<never> {
    throw unimplemented("adding a member to a running cluster");
  }

  async memberRemove(): Promise<never> {
    throw unimplemented("removing a member from a running cluster");
  }

  async memberUpdate(): Promise<never> {
    throw unimplemented("changing a member's peer URLs");
  }

  async memberPromote(): Promise<never> {
    throw unimplemented("promoting a learner");
  }
}
