import { Command, CommanderError } from "commander";
import { UsageError } from "../harness/errors.ts";
import type { CheckCommandOptions } from "./check.ts";
import type { ReplayWords } from "./replay.ts";
import type { RunWords } from "./run.ts";
import { durationMs, faultNames, folder, positiveNumber, wholeNumber, words } from "./values.ts";
import { version } from "./version.ts";

/** Runs the command that `argv` names and resolves to its exit code. Rejects with a UsageError for words it does not know. */
export async function parseAndRun(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = describeCommands((result) => (code = result));
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version were printed; everything else is a word that is not known here.
    if (error.exitCode === 0) return 0;
    throw new UsageError(usageSentence(error));
  }
  return code;
}

/** commander says "error: unknown option '--x'\n(Did you mean --y?)". */
function usageSentence(error: CommanderError): string {
  if (error.code === "commander.help") return "no command was given; 'seatrial --help' lists them.";
  const message = error.message.replace(/^error: /, "").replaceAll(/\s*\n\s*/g, " ");
  return `${message.replace(/\.$/, "")}; 'seatrial --help' and 'seatrial COMMAND --help' say what there is.`;
}

function describeCommands(done: (code: number) => void): Command {
  const program = new Command("seatrial")
    .description(
      "A sea trial for control planes: drives an etcd-compatible store with real clients, injects faults, records and judges.",
    )
    .version(version(), "-V, --version", "print the version")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false)
    .addHelpText("after", EXIT_CODES);
  addTrialCommands(program, done);
  addReadingCommands(program, done);
  addClusterCommands(program, done);
  return program;
}

const EXIT_CODES = `
Exit codes: 0 all held, 1 a guarantee was violated, 2 usage or unreadable input, 3 unknown or inconclusive.`;

function addTrialCommands(program: Command, done: (code: number) => void): void {
  program
    .command("run")
    .description("put a store to the trial and judge what its clients saw")
    .argument("[suite...]", "suites by name; the default is etcd/kv, etcd/watch and etcd/lease")
    .option("--all", "every suite that the target can be asked")
    .option(
      "--target <name>",
      "reference (the default), etcd (the one on PATH), the path of a binary that starts like etcd, endpoints, or simulation",
    )
    .option(
      "--endpoints <urls>",
      "a cluster that runs already, with commas between; no faults are injected there",
      (text: string) => words("--endpoints", text),
    )
    .option("--plant <name>", "simulation only: a bug in every member, to see it caught ('seatrial list' names them)")
    .option("--allow-remote", "let load go to endpoints on other machines")
    .option("--nodes <n>", "members of the cluster (3)", (text: string) => wholeNumber("--nodes", text, 1, 9))
    .option("--seed <n>", "repeats the choices of another run; drawn and printed if absent", (text: string) =>
      wholeNumber("--seed", text, 0, Number.MAX_SAFE_INTEGER),
    )
    .option("--duration <time>", "how long the load lasts, such as 30s", (text: string) =>
      durationMs("--duration", text),
    )
    .option("--faults <names>", "all (the default), none, or names with commas between", faultNames)
    .option("--rate <n>", "operations a second over all clients, open loop; absent: closed loop", (text: string) =>
      positiveNumber("--rate", text),
    )
    .option("--out <dir>", "the folder that runs go into", (text: string) => folder("--out", text), "runs")
    .option("--open", "open the report in a browser (never under CI or without a terminal)")
    .action(async (suites: string[], options: Omit<RunWords, "suites">) => {
      const { runCommand } = await import("./run.ts");
      done(await runCommand({ suites, ...options }));
    });
  program
    .command("replay")
    .description("repeat a run: its seed, suites, target and schedule of faults")
    .argument("<run>", "the run's directory")
    .option("--until-fails <n>", "repeat up to n times, until a guarantee is violated", (text: string) =>
      wholeNumber("--until-fails", text, 1, 1_000_000),
    )
    .option("--out <dir>", "the folder that runs go into", (text: string) => folder("--out", text), "runs")
    .action(async (run: string, options: ReplayWords) => {
      const { replayCommand } = await import("./replay.ts");
      done(await replayCommand(run, options));
    });
}

function addReadingCommands(program: Command, done: (code: number) => void): void {
  program
    .command("list")
    .description("suites, faults, targets and models")
    .option("--json", "machine-readable")
    .action(async (options: { json?: boolean }) => {
      const { listCommand } = await import("./list.ts");
      done(await listCommand(options));
    });
  program
    .command("check")
    .description("judge recorded histories; needs no target")
    .argument("<file...>", "history files, or directories of runs")
    .option("--model <name>", "what the history's object is: register, cas-register, kv, etcd...")
    .option("--format <name>", "how the file is written; guessed if absent")
    .option("--initial <json>", "the object's state before the first operation")
    .option("--time-limit <time>", "give up with 'unknown' after so long, for each file: seconds, or such as 500ms")
    .option("--json", "one verdict a line")
    .action(async (files: string[], options: CheckCommandOptions) => {
      const { checkCommand } = await import("./check.ts");
      done(await checkCommand(files, options));
    });
  program
    .command("report")
    .description("write a run's report again")
    .argument("<run>", "the run's directory")
    .option("--open", "open it in a browser (never under CI or without a terminal)")
    .action(async (run: string, options: { open?: boolean }) => {
      const { reportCommand } = await import("./report.ts");
      done(await reportCommand(run, options));
    });
}

function addClusterCommands(program: Command, done: (code: number) => void): void {
  program
    .command("up")
    .description("bring up a cluster of the reference store and keep it until Ctrl-C")
    .option("--stores <n>", "members (3)", (text: string) => wholeNumber("--stores", text, 1, 9))
    .option("--dir <dir>", "where their data is kept; absent: a temporary folder, removed at the end", (text: string) =>
      folder("--dir", text),
    )
    .action(async (options: { stores?: number; dir?: string }) => {
      const { upCommand } = await import("./up.ts");
      done(await upCommand(options));
    });
  program
    .command("store")
    .description("run one member of the reference store; takes etcd's flags")
    .allowUnknownOption()
    .helpOption(false);
  program
    .command("clean")
    .description("end the processes and lift the faults that killed runs left behind")
    .argument("[dir]", "the folder that runs went into", "runs")
    .action(async (dir: string) => {
      const { cleanCommand } = await import("./clean.ts");
      done(await cleanCommand(dir));
    });
  program.command("setup-check", { hidden: true }).action(async () => {
    const { setupCheckCommand } = await import("./setup-check.ts");
    done(await setupCheckCommand());
  });
}
