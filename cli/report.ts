import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { History } from "knossos-ts";
import { UsageError } from "../harness/errors.ts";
import { readRun } from "../harness/run-directory.ts";
import { openPage } from "./open-page.ts";

/** Writes every report of a run again, from its files alone. */
export async function reportCommand(directory: string, options: { readonly open?: boolean }): Promise<number> {
  const page = await writeReports(directory);
  process.stdout.write(`${page}\n`);
  if (options.open === true) openPage(page);
  return 0;
}

/** Resolves to the path of the page. */
export async function writeReports(directory: string): Promise<string> {
  const run = readRun(directory);
  const history = await readHistory(join(directory, "history.jsonl"));
  const { reporters } = await import("../reports/index.ts");
  for (const reporter of reporters) {
    for (const artifact of reporter(run, history)) {
      await writeFile(join(directory, artifact.name), artifact.content).catch((error: NodeJS.ErrnoException) => {
        throw new UsageError(`the report cannot be written into ${directory} (${error.code ?? error.message}).`);
      });
    }
  }
  return join(directory, "index.html");
}

/** A run that ended before its first operation has no history: an empty one is reported. */
async function readHistory(file: string): Promise<History> {
  const { HistoryLineReader, MalformedHistory } = await import("knossos-ts");
  const reader = new HistoryLineReader();
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) reader.add(line);
    return reader.finish();
  } catch (error) {
    if (error instanceof MalformedHistory) throw new UsageError(`${file}: ${error.message}.`);
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    return { model: "etcd", foreignWriters: false, operations: [], streams: [], environment: [], faults: [] };
  }
}
