import { FlagError, helpText, parseFlags } from "../reference/etcd-server/flags.ts";
import { ETCD_VERSION } from "../reference/etcd-server/version.ts";

/**
 * `seatrial store ARGS...`: one member of the reference store, with etcd's flags and etcd's exit codes
 * (2: a flag that is wrong, 1: a stray argument, a port in use, a data directory that cannot be used).
 */
export async function storeCommand(argv: readonly string[]): Promise<number> {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(argv, process.env);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    complain(`${error.message}; see seatrial store --help`);
    return error.exitCode;
  }
  if (flags === "help") {
    process.stdout.write(helpText());
    return 0;
  }
  if (flags === "version") {
    process.stdout.write(
      `etcd Version: ${ETCD_VERSION}\nSeatrial reference store\nNode.js Version: ${process.versions.node}\nOS/Arch: ${process.platform}/${process.arch}\n`,
    );
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      // Asked twice: at once.
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  const { runStore } = await import("../reference/main.ts");
  const faultFd = readFaultFd(process.env["SEATRIAL_FAULT_FD"]);
  const code = await runStore(flags, { stop: stop.signal, complain, ...(faultFd !== undefined && { faultFd }) });
  // Clients may hold connections that no longer matter.
  process.exit(code);
}

function complain(sentence: string): void {
  process.stderr.write(`seatrial store: ${sentence}\n`);
}

function readFaultFd(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) && Number(text) > 2 ? Number(text) : undefined;
}
