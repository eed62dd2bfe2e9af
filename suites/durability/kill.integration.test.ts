import { expect, test } from "vitest";
import { connectEtcd } from "../../harness/clients/etcd.ts";
import type { EtcdClient } from "../../harness/suite.ts";
import type { Target } from "../../harness/target.ts";
import { bare, openInTemporary, whole } from "../../harness/targets/process-target.contract.ts";
import { systemClock } from "../../seams/node/clock.ts";
import { entropySeed } from "../../seams/node/random.ts";
import { seededRandom } from "../../seams/random.ts";

/** Twenty in the campaign. */
const kills = 2 * Number(process.env["SEATRIAL_RUNS"] ?? 1);
const clients = 8;

/** Puts fresh keys, each once, until told to stop; `acknowledged` is what the store has promised to keep. */
class Writers {
  readonly acknowledged = new Set<string>();
  readonly #target: Target;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[];

  constructor(target: Target, round: string) {
    this.#target = target;
    this.#running = Array.from({ length: clients }, (_, client) => this.#write(client, `${round}/${client}`));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  async #write(client: number, prefix: string): Promise<void> {
    const node = this.#target.nodes[client % this.#target.nodes.length]?.name ?? "";
    await using session: EtcdClient = connectEtcd(this.#target.endpoint(node), { clock: systemClock });
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      const key = `${prefix}/${n}`;
      const { type } = await session.invoke({ f: "put", key, value: key }, deadline(2_000));
      if (type === "ok") this.acknowledged.add(key);
      else await systemClock.sleep(5);
    }
  }
}

function deadline(ms: number): AbortSignal {
  return AbortSignal.timeout(ms);
}

async function killAndWait(target: Target, nodes: readonly string[]): Promise<void> {
  for (const node of nodes) process.kill(target.pid(node) ?? 0, "SIGKILL");
  await Promise.all(nodes.map((node) => target.exited(node)));
}

async function keysOf(target: Target, prefix: string): Promise<Set<string>> {
  await using session: EtcdClient = connectEtcd(target.endpoint(target.nodes[0]?.name ?? ""), { clock: systemClock });
  const answer = await session.invoke(
    { f: "range", key: `${prefix}/`, rangeEnd: `${prefix}0`, keysOnly: true },
    deadline(10_000),
  );
  if (answer.type !== "ok" || answer.output.f !== "range")
    throw new Error(`the last read failed: ${JSON.stringify(answer)}`);
  return new Set(answer.output.kvs.map(({ key }) => key));
}

test.each(["the leader", "all three at once"])(
  `kill -9 of %s under load loses no acknowledged write, ${kills} times of ${kills}`,
  async (victims) => {
    const seed = entropySeed();
    const random = seededRandom(seed);
    await using cluster = await openInTemporary("reference");
    const { target } = cluster;
    await target.start(bare);
    for (let round = 0; round < kills; round++) {
      const view = await whole(target);
      const writers = new Writers(target, `r${round}`);
      await systemClock.sleep(300 + random.below(700));
      const nodes = victims === "the leader" ? [view.leader ?? ""] : target.nodes.map(({ name }) => name);
      await killAndWait(target, nodes);
      const before = writers.acknowledged.size;
      // With a majority left the store must take writes again before the dead member is back.
      if (nodes.length === 1)
        await expect.poll(() => writers.acknowledged.size, { timeout: 10_000 }).toBeGreaterThan(before);
      for (const node of nodes) await target.restart(node);
      await whole(target);
      await writers.stop();
      const found = await keysOf(target, `r${round}`);
      const lost = [...writers.acknowledged].filter((key) => !found.has(key));
      expect(lost, `seed ${seed}, round ${round}, ${writers.acknowledged.size} acknowledged`).toEqual([]);
      expect(writers.acknowledged.size).toBeGreaterThan(20);
    }
  },
  60_000 + kills * 20_000,
);
