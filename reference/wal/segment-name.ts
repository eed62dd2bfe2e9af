/** A segment's place in the log, as its file name says it: `%016x-%016x.wal`, sequence and first index. */
export interface SegmentName {
  readonly sequence: number;
  /** Index of the first entry that may be in it. */
  readonly firstIndex: number;
}

const PATTERN = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

export function formatSegmentName({ sequence, firstIndex }: SegmentName): string {
  return `${hex16(sequence)}-${hex16(firstIndex)}.wal`;
}

/** undefined for any other file (`0.tmp`, a `.broken` that etcd's repair left). */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = PATTERN.exec(name);
  if (match === null) return undefined;
  return { sequence: Number.parseInt(match[1] ?? "", 16), firstIndex: Number.parseInt(match[2] ?? "", 16) };
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, "0");
}
