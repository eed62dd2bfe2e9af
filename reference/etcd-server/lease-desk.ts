import { LeaseKeepAliveRequest, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse } from "../../api/etcd/gen/rpc.ts";
import type { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type { Clock } from "../../seams/clock.ts";
import type { Network, NodeId } from "../../seams/network.ts";
import type { ApplyResult, StateMachine } from "../apply/types.ts";
import { keyBytes } from "../mvcc/key-text.ts";
import type { LeaseId } from "../mvcc/types.ts";
import { NOBODY } from "../raft/types.ts";
import { Code, refusal, RpcError } from "./errors.ts";
import { Lessor } from "./lessor.ts";

const KEEP_ALIVE = "lease/keep-alive";
const TIME_TO_LIVE = "lease/time-to-live";

/** What the desk needs of its member. */
export interface LeaseHost {
  readonly id: NodeId;
  readonly isLeader: boolean;
  /** The same by the core's own word, which may be newer than what the member has acted on. */
  readonly leadsNow: boolean;
  readonly leader: NodeId;
  readonly stopped: boolean;
  readonly machine: StateMachine;
  readonly seams: { readonly clock: Clock; readonly network: Network };
  /** `wanted` is asked again when raft is about to get the request; no longer wanted, it is refused. */
  propose(request: Partial<InternalRaftRequest>, wanted?: () => boolean): Promise<ApplyResult>;
  linearizable(): Promise<void>;
}

/** Serves the time side of leases on any member: here if this one leads, else by asking the leader. */
export class Leases {
  readonly #host: LeaseHost;
  readonly #lessor: Lessor;
  readonly #electionMs: number;

  constructor(host: LeaseHost, electionMs: number) {
    this.#host = host;
    this.#electionMs = electionMs;
    this.#lessor = new Lessor({
      clock: host.seams.clock,
      leases: () => host.machine.leases,
      revoke: (id) => {
        // Only the leader whose clock ran out may end a lease: the next one gave it its full time again.
        const reign = this.#lessor.reign;
        const wanted = () => host.leadsNow && this.#lessor.leading && this.#lessor.reign === reign;
        // Lost or late: the lessor tries again. Already gone: the log said so first.
        host.propose({ leaseRevoke: { ID: id } }, wanted).catch(() => undefined);
      },
    });
  }

  /** Seconds; etcd raises every shorter TTL to it: one and a half election timeouts. */
  get minTtlSeconds(): number {
    return Math.ceil((1.5 * this.#electionMs) / 1000);
  }

  promote(): void {
    this.#lessor.promote(this.#electionMs);
  }

  demote(): void {
    this.#lessor.demote();
  }

  applied({ granted, revoked }: NonNullable<ApplyResult["leases"]>): void {
    if (granted) this.#lessor.granted(granted.id, granted.ttlSeconds);
    if (revoked !== undefined) this.#lessor.revoked(revoked);
  }

  tick(): void {
    this.#lessor.tick();
  }

  /** The granted TTL in seconds, or 0 if the lease is gone. */
  async keepAlive(id: LeaseId, signal: AbortSignal): Promise<number> {
    const body = LeaseKeepAliveRequest.encode({ ID: id }).finish();
    const answer = await this.#atLeader(signal, () => this.#renewHere(id), KEEP_ALIVE, body);
    return typeof answer === "number" ? answer : Number(LeaseTimeToLiveResponse.decode(answer).TTL);
  }

  /** Without header. TTL is -1 if there is no such lease. */
  async timeToLive(request: LeaseTimeToLiveRequest, signal: AbortSignal): Promise<LeaseTimeToLiveResponse> {
    const body = LeaseTimeToLiveRequest.encode(request).finish();
    const answer = await this.#atLeader(signal, () => this.#lookHere(request), TIME_TO_LIVE, body);
    return answer instanceof Uint8Array ? LeaseTimeToLiveResponse.decode(answer) : answer;
  }

  /** A follower's question. The answer begins with a status byte: 0 and a message, or 1, a gRPC code and a text. */
  async answer(method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    try {
      signal.throwIfAborted();
      if (method === KEEP_ALIVE) {
        const TTL = BigInt(await this.#renewHere(LeaseKeepAliveRequest.decode(body).ID));
        return frame(LeaseTimeToLiveResponse.fromPartial({ TTL }));
      }
      if (method === TIME_TO_LIVE) return frame(await this.#lookHere(LeaseTimeToLiveRequest.decode(body)));
      throw new RpcError(Code.unimplemented, `no member-to-member request is called ${method}`);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return Buffer.concat([Buffer.of(1, error.code), Buffer.from(error.message)]);
    }
  }

  async #atLeader<T>(
    signal: AbortSignal,
    here: () => Promise<T>,
    method: string,
    body: Uint8Array,
  ): Promise<T | Uint8Array> {
    const { clock } = this.#host.seams;
    const deadline = clock.now() + 5000 + 2 * this.#electionMs;
    while (clock.now() < deadline) {
      signal.throwIfAborted();
      if (this.#host.stopped) throw refusal("stopped");
      try {
        if (this.#host.isLeader) return await here();
        if (this.#host.leader !== NOBODY) return unframe(await this.#ask(this.#host.leader, method, body, signal));
      } catch (error) {
        // Not the leader (any more), a link that failed or was too slow: the next leader is asked. A renewal may be done twice without harm.
        signal.throwIfAborted();
        if (
          this.#host.stopped ||
          (error instanceof RpcError && error.code !== Code.failedPrecondition && error.code !== Code.unavailable)
        )
          throw error;
      }
      await clock.sleep(50, signal);
    }
    throw refusal(this.#host.leader === NOBODY ? "noLeader" : "timeout");
  }

  /** One attempt, given up after an election timeout: by then there may be another leader. */
  async #ask(leader: NodeId, method: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { clock, network } = this.#host.seams;
    const over = new AbortController();
    const giveUp = new AbortController();
    clock.sleep(this.#electionMs, over.signal).then(
      () => giveUp.abort(refusal("timeout")),
      () => undefined,
    );
    try {
      return await network.request(leader, method, body, AbortSignal.any([signal, giveUp.signal]));
    } finally {
      over.abort();
    }
  }

  /** Only a leader that is confirmed to be one may promise time: another might have let the lease expire meanwhile. */
  async #confirmLeadership(): Promise<void> {
    if (!this.#host.isLeader) throw refusal("notLeader");
    await this.#host.linearizable();
    if (!this.#lessor.leading) throw refusal("notLeader");
  }

  async #renewHere(id: LeaseId): Promise<number> {
    await this.#confirmLeadership();
    return this.#lessor.renew(id) ?? 0;
  }

  async #lookHere({ ID, keys }: LeaseTimeToLiveRequest): Promise<LeaseTimeToLiveResponse> {
    await this.#confirmLeadership();
    const lease = this.#host.machine.leases.get(ID);
    const remainingMs = this.#lessor.remainingMs(ID);
    if (lease === undefined || remainingMs === undefined) return LeaseTimeToLiveResponse.fromPartial({ ID, TTL: -1n });
    return {
      header: undefined,
      ID,
      TTL: BigInt(Math.floor(remainingMs / 1000)),
      grantedTTL: BigInt(lease.ttlSeconds),
      keys: keys ? [...lease.keys].toSorted().map((key) => keyBytes(key)) : [],
    };
  }
}

function frame(message: LeaseTimeToLiveResponse): Uint8Array {
  return Buffer.concat([Buffer.of(0), LeaseTimeToLiveResponse.encode(message).finish()]);
}

function unframe(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0) return bytes.subarray(1);
  throw new RpcError(bytes[1] ?? Code.unknown, Buffer.from(bytes.subarray(2)).toString());
}
