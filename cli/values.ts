import { UsageError } from "../harness/errors.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `500ms`, `30s`, `1.5m`, `2h`; to milliseconds. */
export function durationMs(flag: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (!Number.isFinite(ms) || ms <= 0) {
    throw new UsageError(
      `${flag} '${text}' is not a duration; write a number with its unit, such as 500ms, 30s or 2m.`,
    );
  }
  return ms;
}

/** A whole number within bounds. */
export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${flag} '${text}' is not a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** A number above zero, fractions allowed. */
export function positiveNumber(flag: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0)) throw new UsageError(`${flag} '${text}' is not a number above 0.`);
  return value;
}

/** `a,b,c`: at least one word, none empty. */
export function words(flag: string, text: string): readonly string[] {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.some((part) => part === "")) {
    throw new UsageError(`${flag} '${text}' has an empty part; write words with commas between them.`);
  }
  return parts;
}

/** A path; an empty one is a variable of a script that was not set. */
export function folder(flag: string, text: string): string {
  if (text.trim() === "") throw new UsageError(`${flag} is empty; give a folder.`);
  return text;
}

/** `all`, `none`, or names. */
export function faultNames(text: string): readonly string[] | "all" | "none" {
  return text === "all" || text === "none" ? text : words("--faults", text);
}
