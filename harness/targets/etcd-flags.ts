/** One member's addresses as its flags need them; each is host:port. */
export interface MemberPlan {
  readonly name: string;
  readonly dataDir: string;
  /** Where it listens itself. */
  readonly client: string;
  readonly peer: string;
  /** What it tells others: the same, or the proxy in front of it. */
  readonly advertisedClient: string;
  readonly advertisedPeer: string;
}

/** Small enough that several snapshots fall into a trial of half a minute. */
const SNAPSHOT_COUNT = 1_000;
const HEARTBEAT_MS = 100;
const ELECTION_MS = 1_000;

/** The command line of one member of a new cluster. `version` decides what must be said and what must not. */
export function etcdFlags(
  member: MemberPlan,
  cluster: readonly MemberPlan[],
  options: { readonly token: string; readonly version: string },
): readonly string[] {
  return [
    `--name=${member.name}`,
    `--data-dir=${member.dataDir}`,
    `--listen-client-urls=http://${member.client}`,
    `--advertise-client-urls=http://${member.advertisedClient}`,
    `--listen-peer-urls=http://${member.peer}`,
    `--initial-advertise-peer-urls=http://${member.advertisedPeer}`,
    `--initial-cluster=${cluster.map((one) => `${one.name}=http://${one.advertisedPeer}`).join(",")}`,
    "--initial-cluster-state=new",
    `--initial-cluster-token=${options.token}`,
    `--heartbeat-interval=${HEARTBEAT_MS}`,
    `--election-timeout=${ELECTION_MS}`,
    `--snapshot-count=${SNAPSHOT_COUNT}`,
    // 3.4 writes lines that are not JSON unless told; later ones know nothing else.
    ...(options.version.startsWith("3.4.") ? ["--logger=zap"] : []),
  ];
}

/** Said once a member serves clients. 3.4 with JSON lines leaves out the first sentence and says the second. */
export const READY = /ready to serve client requests|serving client traffic insecurely/;

/** Said by a member that found its port taken: Go's words and Node's. */
export const PORT_TAKEN = /address already in use|EADDRINUSE/;
