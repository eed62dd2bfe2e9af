import { exit, report } from "./exit.ts";

/** `store` has etcd's own flags and exit codes, and must start fast: it never sees the other commands. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === "store") {
    const { storeCommand } = await import("./store.ts");
    return storeCommand(argv.slice(1));
  }
  // An error that nobody awaits is a fault of ours: the target's members die with us, and exit code 1 is for violations alone.
  process.on("uncaughtException", (error) => process.exit(report(error)));
  // The reader of our output has seen enough (`| head`).
  process.stdout.on("error", (error: NodeJS.ErrnoException) =>
    process.exit(error.code === "EPIPE" ? 0 : report(error)),
  );
  const { parseAndRun } = await import("./commands.ts");
  return parseAndRun(argv);
}

try {
  exit(await main(process.argv.slice(2)));
} catch (error) {
  exit(report(error));
}
