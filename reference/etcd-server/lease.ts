import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from "../../api/etcd/gen/rpc.ts";
import { refusal } from "./errors.ts";
import { messageOf } from "./kv.ts";
import { MAX_LEASE_TTL_SECONDS } from "./lessor.ts";
import type { Member } from "./member.ts";
import { completed } from "./response-header.ts";

/** etcdserverpb.Lease, without a transport. */
export class LeaseHandlers {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  async leaseGrant(request: LeaseGrantRequest): Promise<LeaseGrantResponse> {
    if (request.TTL > BigInt(MAX_LEASE_TTL_SECONDS)) throw refusal("leaseTtlTooLarge");
    // Decided here and not when applied: the shortest TTL hangs on this member's own timing.
    const shortest = BigInt(this.#member.leases.minTtlSeconds);
    const TTL = request.TTL < shortest ? shortest : request.TTL;
    const ID = request.ID === 0n ? this.#member.freshLeaseId() : request.ID;
    const message = messageOf("leaseGrant", await this.#member.propose({ leaseGrant: { ID, TTL } }));
    return completed(this.#member, message);
  }

  async leaseRevoke(request: LeaseRevokeRequest): Promise<LeaseRevokeResponse> {
    return completed(this.#member, messageOf("leaseRevoke", await this.#member.propose({ leaseRevoke: request })));
  }

  async *leaseKeepAlive(
    requests: AsyncIterable<LeaseKeepAliveRequest>,
    signal: AbortSignal,
  ): AsyncIterable<LeaseKeepAliveResponse> {
    for await (const { ID } of requests) {
      // The header is of before the renewal: a lease that ended at its revision is not said to have lived then.
      const header = this.#member.header();
      const TTL = await this.#member.leases.keepAlive(ID, signal);
      yield { header, ID, TTL: BigInt(TTL) };
    }
  }

  async leaseTimeToLive(request: LeaseTimeToLiveRequest, signal: AbortSignal): Promise<LeaseTimeToLiveResponse> {
    const answer = await this.#member.leases.timeToLive(request, signal);
    return { ...answer, header: this.#member.header() };
  }

  async leaseLeases(): Promise<LeaseLeasesResponse> {
    // etcd answers from what is applied here; a read that may not be old costs one round and surprises nobody.
    await this.#member.linearizable();
    const leases = [...this.#member.machine.leases.keys()].map((ID) => ({ ID }));
    return { header: this.#member.header(), leases };
  }
}
