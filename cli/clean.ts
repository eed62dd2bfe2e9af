import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { healJournal } from "../faults/journal.ts";
import { UsageError } from "../harness/errors.ts";
import type { Writer } from "../harness/run-directory.ts";
import { processStartTime } from "../harness/targets/process-identity.ts";
import { endLeftovers } from "../harness/targets/process-journal.ts";
import { systemClock } from "../seams/node/clock.ts";

/**
 * Ends the processes and heals the faults that killed runs in `folder` left behind; runs that are still written are left alone.
 * Faults first: a stopped process cannot hear that it is to end.
 */
export async function cleanCommand(folder: string): Promise<number> {
  const runs = await runsIn(folder);
  let found = 0;
  let failed = 0;
  for (const run of runs) {
    if (await isBeingWritten(run)) {
      process.stdout.write(`${run}: still under way, left alone\n`);
      continue;
    }
    const healed = await healJournal(run);
    const ended = await endLeftovers(run, { clock: systemClock });
    for (const one of healed) {
      if (one.error !== undefined) failed++;
      process.stdout.write(
        `${run}: ${one.error === undefined ? "healed" : "could not heal"} ${one.fault}${one.error === undefined ? "" : ` (${one.error})`}\n`,
      );
    }
    for (const one of ended) process.stdout.write(`${run}: ended process ${one.pid} (${one.node})\n`);
    found += healed.length + ended.length;
  }
  if (found === 0) process.stdout.write("nothing was left behind\n");
  return failed === 0 ? 0 : 3;
}

/** A run's folder has a writer.json; the folder given may itself be a run. */
async function runsIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    // The default folder is made by the first run: without one there is nothing to clean.
    if (error.code === "ENOENT" && folder === "runs") return [];
    throw new UsageError(
      `${folder} cannot be read (${error.code ?? error.message}); give the folder that runs went into.`,
    );
  });
  if (entries.some((entry) => entry.name === "writer.json")) return [folder];
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name))
    .sort();
}

async function isBeingWritten(run: string): Promise<boolean> {
  const text = await readFile(join(run, "writer.json"), "utf8").catch(() => undefined);
  if (text === undefined) return false;
  let writer: Writer;
  try {
    writer = JSON.parse(text) as Writer;
  } catch {
    // Torn by the kill that we clean up after.
    return false;
  }
  return Number.isInteger(writer.pid) && processStartTime(writer.pid) === writer.started;
}
