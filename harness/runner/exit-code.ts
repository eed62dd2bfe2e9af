import type { Validity } from "knossos-ts";
import type { Injection, ScheduledFault } from "../fault.ts";
import type { Cell } from "../run.ts";

export type ExitCode = 0 | 1 | 2 | 3;

/** How a run ended, as far as its exit code is concerned. */
export interface Ending {
  readonly valid: Validity;
  readonly cells: readonly Cell[];
  /** How many injections the schedule holds: none planned asks for no evidence. */
  readonly planned: number;
  /** A file of the run could not be written. */
  readonly unwritable: boolean;
}

/** 0 all held, 1 a guarantee was violated, 2 the run could not be written, 3 unknown or inconclusive; 1 before 2 before 3. */
export function exitCodeOf(ending: Ending): ExitCode {
  if (ending.valid === false) return 1;
  if (ending.unwritable) return 2;
  if (ending.valid === "unknown") return 3;
  if (ending.planned > 0 && !ending.cells.some((cell) => cell.confirmed > 0)) return 3;
  return ending.cells.every((cell) => cell.conclusive) ? 0 : 3;
}

/**
 * suite x fault. A cell is conclusive when its fault was confirmed at least once and never mismatched:
 * a lone inconclusive probe beside a confirmed one is listed, not held against it.
 * An interrupted run answers for the faults it came to; a complete one for every fault of its schedule.
 */
export function cellsOf(
  suites: readonly string[],
  schedule: readonly ScheduledFault[],
  injections: readonly Injection[],
  interrupted: boolean,
): readonly Cell[] {
  const kinds = new Set((interrupted ? injections : schedule).map((item) => item.fault));
  return suites.flatMap((suite) =>
    [...kinds].sort().map((fault) => {
      const count = (result: string) =>
        injections.filter((one) => one.fault === fault && one.evidence.result === result).length;
      const confirmed = count("confirmed");
      const mismatch = count("mismatch");
      return {
        suite,
        fault,
        confirmed,
        mismatch,
        inconclusive: count("inconclusive"),
        conclusive: confirmed > 0 && mismatch === 0,
      };
    }),
  );
}
