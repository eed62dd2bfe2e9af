import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { UsageError } from "../harness/errors.ts";
import { makeFolder } from "../harness/run-directory.ts";
import { openTarget } from "../harness/targets/open.ts";
import { systemClock } from "../seams/node/clock.ts";
import { systemRandom } from "../seams/node/random.ts";
import { listenForInterrupts } from "./interrupt.ts";

const DEFAULT_STORES = 3;

/** Brings up the reference store, prints its endpoints and `ready`, and keeps it until SIGINT or SIGTERM. */
export async function upCommand(options: { readonly stores?: number; readonly dir?: string }): Promise<number> {
  const folder = folderFor(options.dir);
  using interrupts = listenForInterrupts(() => {});
  try {
    await using target = await openTarget("reference", {
      nodes: options.stores ?? DEFAULT_STORES,
      runDir: folder,
      clock: systemClock,
      random: systemRandom(),
      keepData: options.dir !== undefined,
    });
    const { stop } = interrupts;
    await target.start({ wrapper: [], env: {}, links: false, faultChannel: false, extraArgs: [] });
    if (stop.aborted) return 0;
    for (const node of target.nodes) process.stdout.write(`${node.name} http://${target.endpoint(node.name)}\n`);
    const endpoints = target.nodes.map((node) => target.endpoint(node.name)).join(",");
    process.stdout.write(`ready: ETCDCTL_API=3 etcdctl --endpoints ${endpoints} endpoint status\n`);
    await untilAborted(stop);
    return 0;
  } finally {
    if (options.dir === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function folderFor(dir: string | undefined): string {
  if (dir === undefined) return mkdtempSync(join(tmpdir(), "seatrial-up-"));
  try {
    makeFolder(join(resolve(dir), "logs"));
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new UsageError(`--dir ${dir} cannot be made (${reason}); give a folder that can be written.`);
  }
  return resolve(dir);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener("abort", () => done(), { once: true });
  });
}
