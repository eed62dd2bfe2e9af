/**
 * `npm run campaign`: the full counts of every acceptance line, one after another; hours. Its result, with commands and commit, replaces the
 * campaign section of docs/track-record.md line by line. `--only WORD` runs the lines whose name has the word; `--scale 0.1` runs a tenth of each count.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const record = join(root, "docs/track-record.md");
const begin = "<!-- campaign: written by npm run campaign -->";
const end = "<!-- end of campaign -->";

interface Line {
  readonly name: string;
  readonly count: number;
  /** The command of the nth run, from 1. */
  command(
    n: number,
    count: number,
  ): { readonly argv: readonly string[]; readonly env?: Readonly<Record<string, string>> };
  /** One process does the whole count. */
  readonly once?: boolean;
}

interface Result {
  readonly name: string;
  readonly command: string;
  readonly passed: number;
  readonly of: number;
  readonly minutes: number;
  readonly failures: readonly string[];
}

const { values } = parseArgs({ options: { only: { type: "string" }, scale: { type: "string", default: "1" } } });
const scale = Number(values.scale);
if (!(scale > 0 && scale <= 1)) {
  console.error(`campaign: --scale is ${values.scale}; give a number above 0, at most 1.`);
  process.exit(2);
}

const vitest = (env: Record<string, string>, ...args: string[]) => ({ argv: ["npx", "vitest", "run", ...args], env });
const trial = (n: number, ...args: string[]) => ({ argv: ["bin/seatrial", "run", "--seed", String(n), ...args] });

function etcds(): readonly { readonly name: string; readonly path: string }[] {
  const built = ["3.5", "3.6", "3.7"].map((version) => ({
    name: `etcd ${version}`,
    path: join(root, ".cache/bin", `etcd-${version}`),
  }));
  const debian = { name: "etcd of Debian", path: "/usr/bin/etcd" };
  return [debian, ...built].filter(({ path }) => existsSync(path));
}

const lines: readonly Line[] = [
  {
    name: "unit and contract tests, properties at 20 times their counts",
    count: 20,
    once: true,
    command: (_, count) =>
      vitest(
        { SEATRIAL_RUNS: String(count) },
        "--project",
        "unit",
        "--project",
        "contract",
        "--testTimeout",
        "1800000",
      ),
  },
  {
    name: "kill -9 of the leader, and of all three, under load",
    count: 20,
    once: true,
    command: (_, count) =>
      vitest({ SEATRIAL_RUNS: String(Math.ceil(count / 2)) }, "--project", "integration", "suites/durability"),
  },
  {
    name: "simulated seeds that must hold, and plants that must be caught",
    count: 500,
    once: true,
    command: (_, count) =>
      vitest(
        { SEATRIAL_SEEDS: String(count) },
        "--project",
        "unit",
        "--project",
        "integration",
        "simulation",
        "harness/targets/simulation",
        "--testTimeout",
        "7200000",
      ),
  },
  { name: "trials of the reference store, every fault", count: 20, command: (n) => trial(n) },
  { name: "trials of the reference store, locks", count: 10, command: (n) => trial(n, "etcd/lock") },
  ...etcds().map(({ name, path }): Line => ({
    name: `trials of ${name}, every fault it can have`,
    count: 10,
    command: (n) => trial(n, "etcd/kv", "etcd/watch", "etcd/lease", "etcd/lock", "--target", path),
  })),
];

async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ ok: boolean; tail: string }> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env, CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let tail = "";
  const keep = (chunk: Buffer): void => {
    tail = (tail + chunk.toString()).slice(-4_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const code = await new Promise<number>((resolve) => {
    child.on("error", () => resolve(127));
    child.on("close", (status) => resolve(status ?? 1));
  });
  const lines = tail.trim().replaceAll(`${root}/`, "").split("\n");
  // A trial says its verdict in one line, with what follows below it; other programs end with what was wrong.
  const verdict = lines.find((line) => /^(Not settled|Violated)/.test(line));
  return { ok: code === 0, tail: `exit code ${code}: ${verdict ?? lines.slice(-6).join(" / ")}` };
}

async function runLine(line: Line): Promise<Result> {
  const count = Math.max(1, Math.round(line.count * scale));
  const started = performance.now();
  const failures: string[] = [];
  let passed = 0;
  const shown = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    [...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...argv].join(" ").replaceAll(`${root}/`, "");
  const rounds = line.once === true ? 1 : count;
  for (let n = 1; n <= rounds; n++) {
    const { argv, env } = line.command(n, count);
    const { ok, tail } = await run(argv, env);
    if (ok) passed++;
    else failures.push(`${line.name}, \`${shown(argv, env)}\`: ${tail}`);
    console.log(`${ok ? "ok  " : "FAIL"} ${line.name} ${n}/${rounds}${ok ? "" : `\n     ${tail}`}`);
  }
  const { argv, env } = line.command(1, count);
  const failed = rounds - passed;
  return {
    name: line.name,
    command: shown(argv, env),
    passed: line.once === true && failed === 0 ? count : passed,
    of: line.once === true ? count : rounds,
    minutes: (performance.now() - started) / 60_000,
    failures,
  };
}

/** The section with these results in place of their lines' earlier ones; other lines keep theirs, each with the commit it was run on. */
function merged(section: string, results: readonly Result[]): string {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  const date = new Date().toISOString().slice(0, 10);
  const rows = new Map(
    section
      .split("\n")
      .flatMap((row) => (/^\| .* \| `/.test(row) ? [[row.split(" | ")[0]?.slice(2) ?? "", row] as const] : [])),
  );
  for (const { name, command, passed, of, minutes } of results) {
    rows.set(name, `| ${name} | \`${command}\` | ${passed} of ${of} | ${minutes.toFixed(1)} | ${commit}, ${date} |`);
  }
  const failures = results.flatMap((result) => result.failures.map((failure) => `- ${failure.replaceAll("\n", " ")}`));
  const kept = section
    .split("\n")
    .filter((line) => line.startsWith("- ") && !results.some(({ name }) => line.includes(name)));
  const trouble = [...kept, ...failures];
  return [
    begin,
    "",
    "| line | first command | held | minutes | commit |",
    "|---|---|---|---|---|",
    ...rows.values(),
    "",
    ...(trouble.length === 0 ? [] : ["Did not hold:", "", ...trouble, ""]),
    end,
  ].join("\n");
}

const chosen = lines.filter(({ name }) => values.only === undefined || name.includes(values.only));
if (chosen.length === 0) {
  console.error(
    `campaign: no line's name has ${JSON.stringify(values.only)}; there are:\n${lines.map(({ name }) => `  ${name}`).join("\n")}`,
  );
  process.exit(2);
}
let failed = false;
for (const line of chosen) {
  const result = await runLine(line);
  failed ||= result.failures.length > 0;
  // After each line, so that a campaign cut short leaves what it has.
  const text = await readFile(record, "utf8");
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < 0) throw new Error(`docs/track-record.md has lost its campaign markers: ${begin} ... ${end}`);
  await writeFile(record, text.slice(0, from) + merged(text.slice(from, to), [result]) + text.slice(to + end.length));
}
process.exitCode = failed ? 1 : 0;
