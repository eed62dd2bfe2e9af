import { programName } from "./version.ts";

/** What a command line is made of, with every default said. */
export interface Said {
  readonly suites: readonly string[];
  readonly target: string;
  readonly endpoints?: readonly string[];
  readonly nodes: number;
  readonly seed: number;
  readonly durationMs: number;
  readonly faults: readonly string[];
  readonly ratePerSecond?: number;
  readonly plant?: string;
}

/** The command that runs the same trial again, from the same choices: nothing is left to a default that may change. */
export function commandOf(said: Said): string {
  const cluster =
    said.endpoints === undefined
      ? `--target ${quoted(said.target)} --nodes ${said.nodes}`
      : `--endpoints ${said.endpoints.join(",")}`;
  return [
    programName(),
    "run",
    ...said.suites,
    cluster,
    `--seed ${said.seed}`,
    `--duration ${said.durationMs}ms`,
    `--faults ${said.faults.length === 0 ? "none" : said.faults.join(",")}`,
    ...(said.plant === undefined ? [] : [`--plant ${said.plant}`]),
    ...(said.ratePerSecond === undefined ? [] : [`--rate ${said.ratePerSecond}`]),
  ].join(" ");
}

function quoted(word: string): string {
  return /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
