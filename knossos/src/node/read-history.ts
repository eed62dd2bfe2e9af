import { createReadStream } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { HistoryLineReader, MalformedHistory } from "../fold.ts";
import type { Format, ReadOptions } from "../formats/detect.ts";
import { asFormat, detectFormat, parseHistory, withOptions } from "../formats/detect.ts";
import type { History } from "../history.ts";

/** How much of a file is looked at to tell its format. */
const BEGINNING_BYTES = 64 * 1024;

/**
 * Reads a history from a file, or from a run directory (its history.jsonl). `jsonl` is streamed line by line; the other formats are
 * read whole. Throws MalformedHistory, or the file system's error.
 */
export async function readHistoryFile(
  path: string,
  options: ReadOptions = {},
): Promise<{ readonly history: History; readonly format: Format }> {
  const file = (await stat(path)).isDirectory() ? join(path, "history.jsonl") : path;
  const format = options.format === undefined ? detectFormat(await beginningOf(file)) : asFormat(options.format);
  if (format !== "jsonl") return parseHistory(await readFile(file, "utf8"), { ...options, format });
  const reader = new HistoryLineReader();
  const input = createReadStream(file, "utf8");
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) reader.add(line);
  return { history: withOptions(reader.finish(), options), format };
}

async function beginningOf(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0);
    if (bytesRead === 0) throw new MalformedHistory("the file is empty; a history has at least one operation");
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}
