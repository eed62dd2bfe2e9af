import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
let sandbox = "";

/** One violation per row of the design's table: file -> what it must not import. */
const planted: readonly (readonly [string, string])[] = [
  ["seams/x.ts", "../api/a.ts"],
  ["api/x.ts", "../seams/a.ts"],
  ["http2/x.ts", "../seams/a.ts"],
  ["knossos/src/x.ts", "../../reference/a.ts"],
  ["knossos/src/y.ts", "../../seams/a.ts"],
  ["links/x.ts", "../harness/a.ts"],
  ["reference/x.ts", "../harness/a.ts"],
  ["reference/y.ts", "knossos-ts"],
  ["simulation/x.ts", "../harness/a.ts"],
  ["harness/x.ts", "../reference/a.ts"],
  ["harness/y.ts", "../simulation/a.ts"],
  ["harness/z.ts", "../http2/a.ts"],
  ["harness/targets/simulation/x.ts", "../../../reference/a.ts"],
  ["faults/x.ts", "../reference/a.ts"],
  ["suites/x.ts", "../reference/a.ts"],
  ["suites/y.ts", "../simulation/a.ts"],
  ["reports/x.ts", "../reference/a.ts"],
  ["cli/x.ts", "../bench/a.ts"],
  ["tools/x.ts", "../reference/a.ts"],
];

const allowed: readonly (readonly [string, string])[] = [
  ["harness/load/ok.ts", "../../http2/a.ts"],
  ["harness/targets/simulation/ok.ts", "../../../simulation/a.ts"],
  ["harness/targets/simulation/ok2.ts", "../../a.ts"],
  ["suites/ok.ts", "../faults/a.ts"],
  ["suites/ok2.ts", "knossos-ts"],
  ["reference/ok.ts", "../seams/a.ts"],
  ["cli/ok.ts", "../reference/a.ts"],
];

const parts = [
  "seams",
  "api",
  "http2",
  "knossos",
  "links",
  "reference",
  "simulation",
  "harness",
  "faults",
  "suites",
  "reports",
  "cli",
  "bench",
  "tools",
];

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(join(sandbox, file)), { recursive: true });
  await writeFile(join(sandbox, file), text);
}

async function lint(): Promise<{ seen: number; violations: Set<string> }> {
  const stdout = await new Promise<string>((resolve) => {
    execFile(
      join(root, "node_modules/.bin/oxlint"),
      ["--format", "unix"],
      { cwd: sandbox, maxBuffer: 1 << 24 },
      (_error, out, err) => resolve(out + err),
    );
  });
  const violations = new Set<string>();
  for (const line of stdout.split("\n")) {
    if (!line.includes("boundaries(dependencies)")) continue;
    const match = /([\w./-]+\.ts):(\d+):/.exec(line);
    if (match !== null) violations.add(`${(match[1] ?? "").replace(/^\.\//, "")}:${match[2]}`);
  }
  return { seen: stdout.length, violations };
}

beforeAll(async () => {
  sandbox = await mkdtemp(join(tmpdir(), "seatrial-table-"));
  await cp(join(root, ".oxlintrc.json"), join(sandbox, ".oxlintrc.json"));
  await symlink(join(root, "node_modules"), join(sandbox, "node_modules"));
  await writeFile(join(sandbox, "package.json"), await readFile(join(root, "package.json")));
  for (const part of parts) await write(`${part}/a.ts`, "export const a = 1;\n");
});

afterAll(() => rm(sandbox, { recursive: true, force: true }));

test("each row of the import table is held: static, type-only and dynamic imports", async () => {
  for (const [file, target] of planted) {
    await write(
      file,
      `import { a } from "${target}";\nimport type * as t from "${target}";\nexport const d: Promise<typeof t> = import("${target}");\nexport { a };\n`,
    );
  }
  for (const [file, target] of allowed) await write(file, `export { a } from "${target}";\n`);
  const { seen, violations } = await lint();
  expect(seen).toBeGreaterThan(0);
  for (const [file] of planted) {
    for (const line of [1, 2, 3]) expect(violations, `${file} line ${line}`).toContain(`${file}:${line}`);
  }
  for (const [file] of allowed) expect(violations, file).not.toContain(`${file}:1`);
});
