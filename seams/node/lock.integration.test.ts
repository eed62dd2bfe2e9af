import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nodeDisk } from "./disk.ts";

test("another process's lock is respected, and dies with it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "seatrial-lock-"));
  const program = `const { nodeDisk } = await import(${JSON.stringify(new URL("./disk.ts", import.meta.url).href)}); globalThis.lock = await nodeDisk.lock(${JSON.stringify(dir)}); console.log("held"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    await expect(nodeDisk.lock(dir)).rejects.toMatchObject({ code: "ELOCKED" });
    child.kill("SIGKILL");
    await once(child, "exit");
    await (await nodeDisk.lock(dir))[Symbol.asyncDispose]();
  } finally {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  }
});
