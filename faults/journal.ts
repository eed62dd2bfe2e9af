import { join } from "node:path";
import type { Fault } from "../harness/fault.ts";
import type { UndoJournal } from "../harness/runner/nemesis.ts";
import type { Disk } from "../seams/disk.ts";
import { nodeDisk } from "../seams/node/disk.ts";
import { faultByName } from "./index.ts";

/** In the run's directory; one JSON object a line. */
export const JOURNAL_FILE = "journal.jsonl";

const NEWLINE = 0x0a;

type Undo = Parameters<Fault["heal"]>[0];
type Line =
  | { readonly id: number; readonly fault: string; readonly undo: Undo }
  | { readonly id: number; readonly done: true };

export interface HealedFault {
  readonly id: number;
  readonly fault: string;
  /** Why it could not be healed; absent if it was. */
  readonly error?: string;
}

/**
 * What heals the faults of this run, kept for when nobody is left who remembers: `record` resolves once the line is on the disk, and only
 * then may the fault be injected.
 */
export function openJournal(dir: string, disk: Disk = nodeDisk): UndoJournal {
  let lastId = 0;
  // One line after the other: two at once would be written to the same place.
  let queue: Promise<unknown> = Promise.resolve();
  const append = (line: Line): Promise<void> => {
    const appended = queue.then(() => appendLine(disk, dir, line));
    queue = appended.catch(() => undefined);
    return appended;
  };
  return {
    async record({ fault, undo }) {
      const id = ++lastId;
      await append({ id, fault, undo });
      return id;
    },
    done: (id) => append({ id, done: true }),
  };
}

/** Heals what the journal of a killed harness holds and does not call done, the last one first. A fault that fails stays in it. */
export async function healJournal(dir: string, disk: Disk = nodeDisk): Promise<readonly HealedFault[]> {
  const report: HealedFault[] = [];
  for (const { id, fault, undo } of (await openEntries(disk, dir)).reverse()) {
    try {
      const known = faultByName(fault);
      if (known === undefined) throw new Error(`this version knows no fault "${fault}"`);
      await known.heal(undo);
      await appendLine(disk, dir, { id, done: true });
      report.push({ id, fault });
    } catch (error) {
      report.push({ id, fault, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return report;
}

async function openEntries(disk: Disk, dir: string): Promise<Extract<Line, { fault: string }>[]> {
  const entries = new Map<number, Extract<Line, { fault: string }>>();
  const lines = (await readWhole(disk, dir)).split("\n");
  for (const [i, text] of lines.slice(0, -1).entries()) {
    const line = parsed(text);
    if (line === undefined)
      throw new Error(
        `${join(dir, JOURNAL_FILE)}:${i + 1} is no line of a fault journal; restore the file or heal by hand.`,
      );
    if ("done" in line) entries.delete(line.id);
    else entries.set(line.id, line);
  }
  return [...entries.values()];
}

function parsed(text: string): Line | undefined {
  try {
    const value = JSON.parse(text) as Partial<Record<"id" | "fault" | "undo" | "done", unknown>> | null;
    if (typeof value?.id !== "number") return undefined;
    return value.done === true || (typeof value.fault === "string" && value.undo !== undefined)
      ? (value as Line)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A line without its newline was not synced when the harness died, so its fault was never injected: it is cut off, that others can follow. */
async function readWhole(disk: Disk, dir: string): Promise<string> {
  if (!(await disk.list(dir)).includes(JOURNAL_FILE)) return "";
  const file = await disk.open(join(dir, JOURNAL_FILE));
  try {
    const bytes = new Uint8Array(await file.size());
    await file.readAt(bytes, 0);
    const whole = bytes.subarray(0, bytes.lastIndexOf(NEWLINE) + 1);
    if (whole.length < bytes.length) {
      await file.truncate(whole.length);
      await file.datasync();
    }
    return new TextDecoder().decode(whole);
  } finally {
    await file.close();
  }
}

async function appendLine(disk: Disk, dir: string, line: Line): Promise<void> {
  const file = await disk.open(join(dir, JOURNAL_FILE), { create: true });
  try {
    const size = await file.size();
    await file.writeAt(new TextEncoder().encode(`${JSON.stringify(line)}\n`), size);
    await file.datasync();
    if (size === 0) await disk.syncDir(dir);
  } finally {
    await file.close();
  }
}
