import { copyFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../seams/node/clock.ts";
import { type Gathering, lmdbBackend } from "./backend-lmdb.ts";
import { memoryBackend } from "./backend-memory.ts";
import { type BackendPlace, backendContract } from "./backend.contract.ts";
import type { Backend } from "./backend.ts";

backendContract("memory", async () => ({ factory: memoryBackend(), dispose: async () => {} }));

backendContract("lmdb", () => lmdbPlace());
backendContract("lmdb, gathering", () => lmdbPlace({ clock: systemClock, forMs: 5 }));

async function lmdbPlace(gathering?: Gathering): Promise<BackendPlace> {
  const directories = [await mkdtemp(join(tmpdir(), "seatrial-lmdb-"))];
  const opened: Backend[] = [];
  const current = (): string => directories.at(-1) as string;
  return {
    factory: {
      async open() {
        const backend = await lmdbBackend(current(), gathering).open();
        opened.push(backend);
        return backend;
      },
      restore: (stream) => lmdbBackend(current()).restore(stream),
    },
    // A copy of the file in the middle of everything is what another process, or a machine that comes up again, finds.
    async crash() {
      const before = current();
      const after = await mkdtemp(join(tmpdir(), "seatrial-lmdb-"));
      copyFileSync(join(before, "db.mdb"), join(after, "db.mdb"));
      directories.push(after);
    },
    async dispose() {
      for (const backend of opened) await backend.close();
      for (const directory of directories) await rm(directory, { recursive: true });
    },
  };
}
