import type { StatusResponse } from "../../api/etcd/gen/rpc.ts";
import { maintenance } from "../../api/etcd/services.ts";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import { CallFailed, Connection } from "../clients/connection.ts";
import type { ClusterView, NodeView } from "../target.ts";
import { withDeadline } from "./deadline.ts";

/** What one member said of itself, or that it said nothing. Ids are hex. */
export interface MemberReading {
  readonly node: string;
  readonly running: boolean;
  readonly pid?: number;
  readonly status?: {
    readonly memberId: string;
    readonly leaderId: string;
    readonly term: number;
    readonly revision: number;
    readonly version: string;
  };
  /** Known from an earlier answer, for a member that does not answer now. */
  readonly knownId?: string;
}

const ANSWER_WITHIN_MS: DurationMs = 500;
const NOBODY = "0";

/**
 * Joins what the members say. The leader is the one that a majority of all members, answering or not, names; a member that was cut off
 * may name an older one.
 */
export function clusterView(readings: readonly MemberReading[]): ClusterView {
  const named = new Map<string, number>();
  for (const { status } of readings)
    if (status !== undefined && status.leaderId !== NOBODY)
      named.set(status.leaderId, (named.get(status.leaderId) ?? 0) + 1);
  const leaderId = [...named].find(([, count]) => count > readings.length / 2)?.[0];
  const leader =
    leaderId === undefined
      ? undefined
      : readings.find((reading) => (reading.status?.memberId ?? reading.knownId) === leaderId)?.node;
  const nodes = readings.map(({ node, running, pid, status, knownId }): NodeView => {
    const memberId = status?.memberId ?? knownId;
    return {
      node,
      running,
      reachable: status !== undefined,
      leader: node === leader,
      ...(memberId === undefined ? {} : { memberId }),
      ...(pid === undefined ? {} : { pid }),
      ...(status === undefined ? {} : { term: status.term, revision: status.revision }),
    };
  });
  return { nodes, ...(leader === undefined ? {} : { leader }) };
}

/** Asks one member for its status, over a connection kept for it. */
export class MemberProbe {
  readonly #connection: Connection;
  readonly #clock: Clock;
  #knownId: string | undefined;

  constructor(address: string, clock: Clock) {
    this.#connection = new Connection(address);
    this.#clock = clock;
  }

  get knownId(): string | undefined {
    return this.#knownId;
  }

  /** undefined if it does not answer in time. */
  async status(signal?: AbortSignal, withinMs: DurationMs = ANSWER_WITHIN_MS): Promise<MemberReading["status"]> {
    const bytes = await this.#ask(
      maintenance.status.path,
      maintenance.status.request.encode({}).finish(),
      signal,
      withinMs,
    );
    const answer = bytes === undefined ? undefined : maintenance.status.response.decode(bytes);
    if (answer?.header === undefined) return undefined;
    const status = {
      ...idsOf(answer),
      term: Number(answer.raftTerm),
      revision: Number(answer.header.revision),
      version: answer.version,
    };
    this.#knownId = status.memberId;
    return status;
  }

  close(): void {
    this.#connection.close();
  }

  async #ask(
    path: string,
    request: Uint8Array,
    signal: AbortSignal | undefined,
    withinMs: DurationMs,
  ): Promise<Uint8Array | undefined> {
    try {
      return await withDeadline(this.#clock, withinMs, signal, (within) =>
        this.#connection.unary(path, request, within),
      );
    } catch (error) {
      if (error instanceof CallFailed) return undefined;
      throw error;
    }
  }
}

function idsOf(answer: StatusResponse): { readonly memberId: string; readonly leaderId: string } {
  return { memberId: (answer.header?.memberId ?? 0n).toString(16), leaderId: answer.leader.toString(16) };
}
