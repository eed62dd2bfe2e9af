import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { trySeed } from "./try-seed.ts";

const DURATION_MS = 5_000;

/** The same trial in a process of its own. */
async function hashElsewhere(seed: number): Promise<string> {
  const program = `const { trySeed } = await import(${JSON.stringify(new URL("./try-seed.ts", import.meta.url).href)});
    process.stdout.write((await trySeed({ seed: ${seed}, durationMs: ${DURATION_MS}, faults: ["power-storm"] })).traceHash);`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@seatrial/source", "--input-type=module", "-e", program],
    {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
    },
  );
  return stdout;
}

test("one seed is one run: in this process, again, and in another", async () => {
  const first = await trySeed({ seed: 7, durationMs: DURATION_MS, faults: ["power-storm"] });
  const again = await trySeed({ seed: 7, durationMs: DURATION_MS, faults: ["power-storm"] });
  expect(again.traceHash).toBe(first.traceHash);
  expect(again.history).toBe(first.history);
  expect(await hashElsewhere(7)).toBe(first.traceHash);
  expect((await trySeed({ seed: 8, durationMs: DURATION_MS, faults: ["power-storm"] })).traceHash).not.toBe(
    first.traceHash,
  );
});
