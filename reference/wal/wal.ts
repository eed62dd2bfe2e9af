import { dirname, join } from "node:path";
import type { Disk } from "../../seams/disk.ts";
import { ContentsFold, describeMetadata, EMPTY_STATE, sameMetadata } from "./contents.ts";
import { WalError } from "./error.ts";
import { readSegment, type SegmentEnd } from "./reader.ts";
import { METADATA_RECORD, RecordWriter } from "./record.ts";
import { formatSegmentName, parseSegmentName, type SegmentName } from "./segment-name.ts";
import type { Index, Term } from "../raft/types.ts";
import type { Wal, WalContents, WalMetadata } from "./types.ts";
import { SegmentedWal, type WalShape } from "./writer.ts";

export interface WalOptions {
  /** A segment is cut once it is this long; etcd's 64 MiB unless told. */
  readonly segmentBytes?: number;
  /** Zeros are written ahead in steps of this size, so that a new member need not write a whole segment first. */
  readonly allocateStepBytes?: number;
  /** Start after the newest snapshot record at or before this index; without it, after the newest of all. */
  readonly fromSnapshot?: number;
}

const DEFAULT_SEGMENT_BYTES = 64 * 1024 * 1024;
const DEFAULT_STEP_BYTES = 4 * 1024 * 1024;

export async function walExists(disk: Disk, dir: string): Promise<boolean> {
  return (await disk.list(dir)).some((name) => parseSegmentName(name) !== undefined);
}

/** Makes a log that begins with a snapshot of nothing; rejects with `WAL_EXISTS` if there is one. After a crash there is a whole log or none. */
export async function createWal(
  disk: Disk,
  dir: string,
  metadata: WalMetadata,
  options: WalOptions = {},
): Promise<Wal> {
  if (await walExists(disk, dir))
    throw new WalError("WAL_EXISTS", `${dir} already holds a log: open it, or choose an empty data directory`);
  const shape = shapeOf(options);
  const name: SegmentName = { sequence: 0, firstIndex: 0 };
  const making = `${dir}.tmp`;
  await disk.remove(making);
  await disk.mkdir(making);

  const head = new RecordWriter(0, 1024);
  head.checksum();
  head.metadata(metadata);
  head.snapshot({ index: 0 as Index, term: 0 as Term, confState: { voters: [], learners: [] } });

  const file = await disk.open(join(making, formatSegmentName(name)), { create: true });
  try {
    await file.allocate(shape.allocateStepBytes);
    await file.writeAt(head.bytes(), 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.syncDir(making);
  await disk.rename(making, dir);
  await disk.syncDir(dirname(dir));
  // The directory above may be as new as the log.
  await disk.syncDir(dirname(dirname(dir)));
  const tail = await disk.open(join(dir, formatSegmentName(name)));
  return new SegmentedWal(disk, dir, metadata, shape, {
    segments: [name],
    file: tail,
    offset: head.length,
    allocated: shape.allocateStepBytes,
    crc: head.crc,
    lastIndex: 0,
    hardState: EMPTY_STATE,
    newestSnapshot: 0,
  });
}

/**
 * Reads a log and makes it ready for more. A torn tail is cut off and zeroed; damage is refused with a sentence that names file and offset.
 * What was read is durable when this resolves: a process that died may have left it in the page cache only.
 * @param expected the member and cluster the log must be of; undefined accepts any.
 */
export async function openWal(
  disk: Disk,
  dir: string,
  expected: WalMetadata | undefined,
  options: WalOptions = {},
): Promise<{ wal: Wal; contents: WalContents }> {
  const shape = shapeOf(options);
  const names = await segmentNames(disk, dir);
  const fold = new ContentsFold();
  let end: SegmentEnd | undefined;
  for (const [i, name] of names.entries()) {
    const path = join(dir, formatSegmentName(name));
    let hasMetadata = false;
    end = readSegment(
      { path, bytes: await readWhole(disk, path), last: i === names.length - 1 },
      end?.crc,
      (type, data, offset) => {
        hasMetadata ||= type === METADATA_RECORD;
        fold.record(type, data, path, offset);
      },
    );
    // A segment gets its name only after its head is durable, so not even a torn one lacks it.
    if (!hasMetadata)
      throw new WalError(
        "WAL_DAMAGED",
        `${path} is damaged at offset 0: it does not begin with the member's identity; restore this member from a backup, or remove it from the cluster and add it anew`,
      );
  }
  const last = names.at(-1);
  if (last === undefined || end?.crc === undefined) throw new WalError("WAL_MISSING", `${dir} holds no log segment`);

  const contents = fold.contents(dir, options.fromSnapshot ?? Number.POSITIVE_INFINITY);
  if (expected !== undefined && !sameMetadata(expected, contents.metadata)) {
    throw new WalError(
      "WAL_FOREIGN",
      `${dir} belongs to ${describeMetadata(contents.metadata)}, not to ${describeMetadata(expected)}: point the member at its own data directory`,
    );
  }

  for (const name of await disk.list(dir)) if (name.endsWith(".tmp")) await disk.remove(join(dir, name));
  await disk.syncDir(dir);
  const path = join(dir, formatSegmentName(last));
  const file = await disk.open(path);
  try {
    const size = await file.size();
    if (end.torn) {
      // Everything after the cut becomes zero: what is left of the torn batch must not meet the records that come next.
      await file.truncate(end.offset);
      await file.allocate(size);
    }
    await file.datasync();
    const newestSnapshot = contents.snapshots.reduce((newest, { index }) => Math.max(newest, index), 0);
    const wal = new SegmentedWal(disk, dir, contents.metadata, shape, {
      segments: names,
      file,
      offset: end.offset,
      allocated: size,
      crc: end.crc,
      lastIndex: fold.lastIndex,
      hardState: fold.hardState,
      newestSnapshot,
    });
    return { wal, contents: end.torn ? { ...contents, torn: { segment: path, offset: end.offset } } : contents };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function shapeOf(options: WalOptions): WalShape {
  const segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
  return { segmentBytes, allocateStepBytes: Math.min(segmentBytes, options.allocateStepBytes ?? DEFAULT_STEP_BYTES) };
}

async function segmentNames(disk: Disk, dir: string): Promise<SegmentName[]> {
  const names = (await disk.list(dir)).map(parseSegmentName).filter((name) => name !== undefined);
  names.sort((a, b) => a.sequence - b.sequence);
  for (const [i, name] of names.entries()) {
    const before = names[i - 1];
    if (before !== undefined && (name.sequence !== before.sequence + 1 || name.firstIndex < before.firstIndex)) {
      throw new WalError(
        "WAL_DAMAGED",
        `${dir} is not whole: ${formatSegmentName(name)} does not follow ${formatSegmentName(before)}; restore this member from a backup, or remove it from the cluster and add it anew`,
      );
    }
  }
  return names;
}

async function readWhole(disk: Disk, path: string): Promise<Uint8Array> {
  const file = await disk.open(path);
  try {
    const bytes = new Uint8Array(await file.size());
    return bytes.subarray(0, await file.readAt(bytes, 0));
  } finally {
    await file.close();
  }
}
