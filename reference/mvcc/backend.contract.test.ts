import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbBackend } from "./backend-lmdb.ts";
import { memoryBackend } from "./backend-memory.ts";
import { backendContract } from "./backend.contract.ts";

backendContract("memory", async () => ({ factory: memoryBackend(), dispose: async () => {} }));

backendContract("lmdb", async () => {
  const directory = await mkdtemp(join(tmpdir(), "seatrial-lmdb-"));
  return { factory: lmdbBackend(directory), dispose: () => rm(directory, { recursive: true }) };
});
