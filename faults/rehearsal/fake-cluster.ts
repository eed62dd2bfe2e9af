import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import type { ClusterView, FaultChannel, Target, TargetNode } from "../../harness/target.ts";
import { startLinks, type Links } from "../../links/index.ts";
import { systemClock } from "../../seams/node/clock.ts";
import { entryUrl } from "../../seams/node/entry.ts";

interface Member {
  readonly node: TargetNode;
  readonly memberId: string;
  child: ChildProcess;
  exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  gone: boolean;
  disk: { delayMs: number; errno?: string };
}

/** A target of tiny processes behind real proxies, so that each fault meets what it acts on without waiting for a store. n1 leads, always. */
export class FakeCluster implements Target {
  readonly name = "fake";
  readonly linksApi: string;
  readonly #links: Links;
  readonly #members: readonly Member[];

  private constructor(links: Links, members: readonly Member[]) {
    this.#links = links;
    this.linksApi = links.apiUrl;
    this.#members = members;
  }

  static async start(size = 3): Promise<FakeCluster> {
    const members = await Promise.all(
      Array.from({ length: size }, async (_, i): Promise<Member> => {
        const [client = 0, peer = 0] = await freePorts(2);
        const node = {
          name: `n${i + 1}`,
          directClientAddress: `127.0.0.1:${client}`,
          directPeerAddress: `127.0.0.1:${peer}`,
          dataDir: "",
          logFile: "",
        };
        return { node, memberId: (0xabc0 + i).toString(16), disk: { delayMs: 0 }, ...(await spawnMember(node)) };
      }),
    );
    const proxies = members.flatMap(({ node }) => [
      { name: `client-${node.name}`, upstream: node.directClientAddress },
      { name: `peer-${node.name}`, upstream: node.directPeerAddress },
    ]);
    for (const member of members) watchExit(member);
    return new FakeCluster(await startLinks({ proxies, clock: systemClock, seed: 1 }), members);
  }

  get nodes(): readonly TargetNode[] {
    return this.#members.map(({ node }) => node);
  }

  has(): boolean {
    return true;
  }

  async start(): Promise<void> {}

  endpoint(node: string): string {
    return this.#links.address(`client-${node}`);
  }

  async view(): Promise<ClusterView> {
    const nodes = this.#members.map(({ node, memberId }, i) => {
      const pid = this.pid(node.name);
      return {
        node: node.name,
        memberId,
        running: pid !== undefined,
        reachable: pid !== undefined,
        leader: i === 0,
        ...(pid === undefined ? {} : { pid }),
      };
    });
    return { nodes, leader: "n1" };
  }

  async versions(): Promise<Readonly<Record<string, string>>> {
    return {};
  }

  pid(node: string): number | undefined {
    const member = this.#member(node);
    return member.gone ? undefined : member.child.pid;
  }

  async restart(node: string): Promise<void> {
    const member = this.#member(node);
    Object.assign(member, { disk: { delayMs: 0 }, ...(await spawnMember(member.node)) });
    watchExit(member);
  }

  exited(node: string): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    return this.#member(node).exit;
  }

  faultChannel(name: string): FaultChannel {
    const member = this.#member(name);
    return {
      async request(command) {
        if ("probe" in command) {
          const start = systemClock.now();
          if (member.disk.delayMs > 0) await systemClock.sleep(member.disk.delayMs);
          return {
            ok: true,
            elapsedMs: systemClock.now() - start,
            ...(member.disk.errno === undefined ? {} : { errno: member.disk.errno }),
          };
        }
        if ("clock" in command || command.disk === "write") return { ok: false, error: "the fake has no such fault" };
        member.disk =
          command.disk === "heal"
            ? { delayMs: 0 }
            : { delayMs: command.delayMs, ...(command.errno === undefined ? {} : { errno: command.errno }) };
        if (member.disk.errno !== undefined) member.child.send("your disk failed");
        return { ok: true };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#members) child.kill("SIGKILL");
    await Promise.all(this.#members.map(({ exit }) => exit));
    await this.#links[Symbol.asyncDispose]();
  }

  #member(name: string): Member {
    const member = this.#members.find(({ node }) => node.name === name);
    if (member === undefined) throw new Error(`there is no member ${name}`);
    return member;
  }
}

async function spawnMember(node: TargetNode): Promise<Pick<Member, "child" | "exit" | "gone">> {
  const ports = [node.directClientAddress, node.directPeerAddress].map((address) => address.split(":")[1] ?? "");
  const child = fork(entryUrl(import.meta.url, "./fake-member"), ports, {
    execArgv: ["--conditions=@seatrial/source"],
  });
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  await Promise.race([
    once(child, "message"),
    exit.then(() => Promise.reject(new Error(`${node.name} did not start`))),
  ]);
  return { child, exit, gone: false };
}

function watchExit(member: Member): void {
  const { child } = member;
  void member.exit.then(() => {
    if (member.child === child) member.gone = true;
  });
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
