import type { Member as WireMember } from "../../api/etcd/gen/rpc.ts";
import type { InternalRaftRequest } from "../../api/etcd/gen/raft_internal.ts";
import type { StateMachine } from "../apply/types.ts";
import type { MemberConfig, MemberSpec } from "./config.ts";

/** What publishing needs of the member. */
interface Publisher {
  propose(request: Partial<InternalRaftRequest>): Promise<unknown>;
  readonly stopped: boolean;
}

/** The members as clients see them: ids and peer URLs from the initial cluster, names and client URLs as each member published them. */
export class Members {
  readonly #config: MemberConfig;
  readonly #published: () => StateMachine["memberAttributes"] | undefined;
  #publishing = false;

  /** @param published what is applied; undefined while a received snapshot replaces it. */
  constructor(config: MemberConfig, published: () => StateMachine["memberAttributes"] | undefined) {
    this.#config = config;
    this.#published = published;
  }

  get self(): MemberSpec {
    const self = this.#config.members.find(({ id }) => id === this.#config.self);
    if (self === undefined) throw new Error("the initial cluster names this member");
    return self;
  }

  /** In the order of their ids, as etcd lists them. A member that has not started yet has no name, as on etcd. */
  list(): WireMember[] {
    const published = this.#published();
    return [...this.#config.members]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map(({ id, peerUrls }) => {
        const attributes = published?.get(id);
        return {
          ID: id,
          name: attributes?.name ?? "",
          peerURLs: [...peerUrls],
          clientURLs: [...(attributes?.clientUrls ?? [])],
          isLearner: false,
        };
      });
  }

  /** The others know this member's present name and client URLs. */
  isPublished(): boolean {
    const { id, name, clientUrls } = this.self;
    const known = this.#published()?.get(id);
    return known?.name === name && known.clientUrls.join() === clientUrls.join();
  }

  /** Tells the others this member's name and client URLs, through the log; tried again with each new leader until it is in. */
  publish(member: Publisher): void {
    const { id, name, clientUrls } = this.self;
    if (this.#publishing || this.isPublished()) return;
    this.#publishing = true;
    const attempt = member.propose({
      clusterMemberAttrSet: { memberID: id, memberAttributes: { name, clientUrls: [...clientUrls] } },
    });
    const over = () => {
      this.#publishing = false;
    };
    // A lost attempt is no harm: `publish` is called again.
    attempt.then(over, over);
  }
}
