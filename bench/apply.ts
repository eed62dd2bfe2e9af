/**
 * What apply costs: puts a second through the state machine on each backend, with one entry and with many in a commit.
 * `node bench/apply.ts [thousands of puts]`; prints one line a case. It is CPU time that counts: the member's core is shared with raft and gRPC.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InternalRaftRequest } from "../api/etcd/gen/raft_internal.ts";
import { openStateMachine } from "../reference/apply/state-machine.ts";
import { lmdbBackend } from "../reference/mvcc/backend-lmdb.ts";
import { memoryBackend } from "../reference/mvcc/backend-memory.ts";
import type { Backend } from "../reference/mvcc/backend.ts";
import type { Index, Term } from "../reference/raft/types.ts";

const puts = 1000 * Number(process.argv[2] ?? 100);
const KEYS = 20_000;
const VALUE_BYTES = 256;

async function measure(name: string, backend: Backend, perCommit: number): Promise<void> {
  const machine = openStateMachine(backend);
  const value = Buffer.alloc(VALUE_BYTES, "v");
  const requests = Array.from({ length: puts }, (_, i) =>
    InternalRaftRequest.fromPartial({
      header: { ID: BigInt(i + 1) },
      put: { key: Buffer.from(`key ${(i * 7919) % KEYS}`), value },
    }),
  );
  const started = performance.now();
  const cpu = process.cpuUsage();
  let flushed: Promise<void> = Promise.resolve();
  for (let i = 0; i < puts; i += perCommit) {
    const entries = requests
      .slice(i, i + perCommit)
      .map((request, k) => ({ index: (i + k + 1) as Index, term: 1 as Term, request }));
    flushed = machine.apply(entries).flushed;
    // A member's loop turns between batches; without it nothing would be written in the background.
    if (i % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await flushed;
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `${name.padEnd(8)} ${String(perCommit).padStart(3)} a commit: ${Math.round(puts / seconds / 1000)}k puts/s until flushed, ${((user + system) / puts).toFixed(1)} us of CPU a put`,
  );
  await backend.close();
}

for (const perCommit of [1, 32]) {
  await measure("memory", await memoryBackend().open(), perCommit);
  const directory = mkdtempSync(join(tmpdir(), "seatrial-bench-"));
  await measure("lmdb", await lmdbBackend(directory).open(), perCommit);
  rmSync(directory, { recursive: true });
}
