import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

interface Part {
  readonly name: string;
  /** Rejects if the part is not usable here. */
  readonly load: () => Promise<unknown>;
}

/** Packages with native code: the ones that an install can leave unusable. */
const NATIVE: readonly Part[] = [
  { name: "lmdb", load: () => import("lmdb") },
  { name: "@node-rs/crc32", load: () => import("@node-rs/crc32") },
];

/** Programs that bring more to try; nothing here needs them. */
const OPTIONAL: readonly { readonly program: string; readonly brings: string; readonly command: string }[] = [
  { program: "etcd", brings: "a trial of a real etcd (--target etcd)", command: "apt-get install etcd-server" },
  { program: "etcdctl", brings: "the tests with etcd's own client", command: "apt-get install etcd-client" },
  { program: "chromium", brings: "the tests of the report in a browser", command: "apt-get install chromium" },
];

/** Says what this machine can do; exit code 2 if a needed part does not load. */
export async function setupCheckCommand(): Promise<number> {
  const lines = [`Node ${process.versions.node} on ${process.platform}-${process.arch}`];
  let broken = 0;
  for (const part of NATIVE) {
    try {
      await part.load();
      lines.push(`${part.name} loads`);
    } catch (error) {
      broken++;
      const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
      lines.push(`${part.name} does not load (${reason}); run 'npm ci' again on this machine`);
    }
  }
  for (const { program, brings, command } of OPTIONAL) {
    lines.push(
      onPath(program) ? `${program} is there: ${brings}` : `${program} is not there; '${command}' brings ${brings}`,
    );
  }
  process.stderr.write(`${lines.join("\n")}\n`);
  return broken === 0 ? 0 : 2;
}

function onPath(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
