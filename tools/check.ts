/** `npm run check`: format, lint (with types and the import table), types, dead code, generated code. Runs them side by side, prints each one's trouble. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

const root = join(import.meta.dirname, "..");

async function run(command: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(join(root, "node_modules/.bin", command), args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve(status ?? 1));
  });
  return { code, output: Buffer.concat(chunks).toString() };
}

async function lint(): Promise<{ code: number; output: string }> {
  const result = await run("oxlint", ["--type-aware", "--deny-warnings"]);
  // A lint that looked at nothing holds nothing.
  const seen = Number(/on (\d+) files/.exec(result.output)?.[1] ?? 0);
  if (seen < 50)
    return {
      code: 1,
      output: `${result.output}\nlint saw only ${seen} files: its ignorePatterns or the folder is wrong`,
    };
  return result;
}

async function generatedCode(): Promise<{ code: number; output: string }> {
  const scratch = await mkdtemp(join(tmpdir(), "seatrial-gen-"));
  try {
    const committed = join(root, "api/etcd/gen");
    const template = (await readFile(join(root, "buf.gen.yaml"), "utf8")).replace(
      "out: api/etcd/gen",
      `out: ${scratch}`,
    );
    const templateFile = join(scratch, "buf.gen.yaml");
    await writeFile(templateFile, template);
    const made = await run("buf", ["generate", "--template", templateFile]);
    if (made.code !== 0) return made;
    const names = (await readdir(committed)).sort();
    const fresh = (await readdir(scratch)).filter((name) => name.endsWith(".ts")).sort();
    const stale: string[] = [];
    for (const name of new Set([...names, ...fresh])) {
      const [a, b] = await Promise.all(
        [committed, scratch].map((dir) => readFile(join(dir, name), "utf8").catch(() => "")),
      );
      if (a !== b) stale.push(name);
    }
    return stale.length === 0
      ? { code: 0, output: "" }
      : {
          code: 1,
          output: `api/etcd/gen differs from what api/etcd/proto generates (${stale.join(", ")}): run npm run generate and commit`,
        };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const checks: Readonly<Record<string, () => Promise<{ code: number; output: string }>>> = {
  format: () => run("oxfmt", ["--check"]),
  "lint and import table": lint,
  types: () => run("tsc", ["--noEmit", "-p", "."]),
  "dead code": () => run("knip", ["--no-progress"]),
  "generated code": generatedCode,
};

const outcomes = await Promise.all(
  Object.entries(checks).map(async ([name, check]): Promise<Outcome> => {
    const started = performance.now();
    const { code, output } = await check();
    return { name, ok: code === 0, seconds: (performance.now() - started) / 1000, output };
  }),
);
for (const { name, ok, seconds, output } of outcomes) {
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${seconds.toFixed(1)} s)`);
  if (!ok) console.log(output.trim().replace(/^/gm, "     "));
}
process.exitCode = outcomes.every((outcome) => outcome.ok) ? 0 : 1;
