import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskContract } from "../disk.contract.ts";
import { nodeDisk } from "./disk.ts";

diskContract("node", async () => {
  const dir = await mkdtemp(join(tmpdir(), "seatrial-disk-"));
  return { disk: nodeDisk, dir, dispose: () => rm(dir, { recursive: true, force: true }) };
});
