import { exit, report } from "./exit.ts";

/** `store` has etcd's own flags and exit codes, and must start fast: it never sees the other commands. */
async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === "store") {
    const { storeCommand } = await import("./store.ts");
    return storeCommand(argv.slice(1));
  }
  const { parseAndRun } = await import("./commands.ts");
  return parseAndRun(argv);
}

try {
  exit(await main(process.argv.slice(2)));
} catch (error) {
  exit(report(error));
}
