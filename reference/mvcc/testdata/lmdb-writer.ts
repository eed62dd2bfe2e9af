import { writeSync } from "node:fs";
import { lmdbBackend } from "../backend-lmdb.ts";

/**
 * Commits numbers for as long as it lives, and says which are flushed: the child of the tests that kill it, trace it or take its disk away.
 * Arguments: directory, how many commits (default: no end). Lines on stdout: `commit N`, `flushed N`, `failed`.
 */
const directory = process.argv[2] ?? ".";
const count = Number(process.argv[3] ?? Number.POSITIVE_INFINITY);
const backend = await lmdbBackend(directory).open();
for (let n = 0; n < count; n++) {
  const { flushed } = backend.commit([
    { op: "put", bucket: "meta", key: Buffer.from("n"), value: Buffer.from(String(n)) },
    { op: "put", bucket: "key", key: Buffer.from(`k${n}`), value: Buffer.alloc(300, "v") },
  ]);
  say(`commit ${n}`);
  const told = flushed.then(
    () => say(`flushed ${n}`),
    () => say("failed"),
  );
  // Several commits on their way, as a member has.
  if (n % 8 === 7) await told;
}
await backend.close();

function say(line: string): void {
  writeSync(1, `${line}\n`);
}
