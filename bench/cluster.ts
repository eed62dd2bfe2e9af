import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { commit } from "../cli/version.ts";
import { UsageError } from "../harness/errors.ts";
import type { Target } from "../harness/target.ts";
import { openTarget } from "../harness/targets/open.ts";
import { systemClock } from "../seams/node/clock.ts";
import { entryUrl } from "../seams/node/entry.ts";
import { entropySeed } from "../seams/node/random.ts";
import { seededRandom } from "../seams/random.ts";
import type { FromGenerator, LoadFigures, LoadKind, LoadOrder } from "./load-generator.ts";
import { median, short, table } from "./table.ts";

interface Options {
  readonly ours: string;
  readonly peer: string;
  readonly kinds: readonly LoadKind[];
  readonly clients: readonly number[];
  readonly rounds: number;
  readonly warmMs: number;
  readonly measureMs: number;
  readonly out: string;
}

/** One measured stretch. */
interface Stretch extends LoadFigures {
  readonly store: "ours" | "peer";
  readonly kind: LoadKind;
  readonly clients: number;
  /** CPU time of the three members together while it was measured. */
  readonly membersCpuUs: number;
}

interface Cell {
  readonly kind: LoadKind;
  readonly clients: number;
  readonly ours: Summary;
  readonly peer: Summary;
  /** ours / peer: more than 1 is better for us. */
  readonly rateRatio: number;
  /** ours / peer: less than 1 is better for us. */
  readonly cpuRatio: number;
}

/** Medians over the stretches of one store. */
interface Summary {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly memberCpuUs: number;
  readonly generatorCpuUs: number;
  readonly errors: Readonly<Record<string, number>>;
}

const MEMBERS = 3;
/** A generator and members that run in a JIT want to be warm before the first figure. */
const FIRST_WARM_MS = 4_000;
const FIRST_WARM_FULL_MS = 10_000;
const TICKS_PER_SECOND = 100;

/** Puts and linearizable reads a second, three members each of two stores, in turns A B B A. Prints a table, writes the stretches as JSON. */
export async function clusterBench(words: readonly string[]): Promise<void> {
  const { options, firstWarmMs } = optionsOf(words);
  const folder = mkdtempSync(join(tmpdir(), "seatrial-bench-"));
  const startedAt = commit();
  const loadBefore = loadavg();
  const generator = fork(fileURLToPath(entryUrl(import.meta.url, "./load-generator")), {
    execArgv: ["--conditions=@seatrial/source"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  try {
    await using ours = await startedTarget(options.ours, join(folder, "ours"));
    await using peer = await startedTarget(options.peer, join(folder, "peer"));
    const stores = { ours, peer };
    for (const store of ["ours", "peer"] as const) {
      for (const kind of ["put", "range"] as const) {
        note(`warming ${stores[store].name}: ${kind}`);
        await load(generator, stores[store], { kind, clients: 100, warmMs: 0, measureMs: firstWarmMs });
      }
    }
    const stretches: Stretch[] = [];
    for (const kind of options.kinds) {
      for (const clients of options.clients) {
        for (let round = 0; round < options.rounds; round++) {
          for (const store of ["ours", "peer", "peer", "ours"] as const) {
            const { figures, membersCpuUs } = await load(generator, stores[store], {
              kind,
              clients,
              warmMs: options.warmMs,
              measureMs: options.measureMs,
            });
            stretches.push({ store, kind, clients, membersCpuUs, ...figures });
            note(
              `${kind} ${clients} ${stores[store].name}: ${short(figures.operations / figures.seconds)}/s${errorsIn(figures.errors)}`,
            );
          }
        }
      }
    }
    const cells = options.kinds.flatMap((kind) => options.clients.map((clients) => cellOf(stretches, kind, clients)));
    process.stdout.write(`${shown(cells, basename(ours.name), basename(peer.name))}\n`);
    const { out, ...asked } = options;
    const result = {
      format: 1,
      at: new Date().toISOString(),
      commit: startedAt,
      // What else the machine did: near its number of CPUs, only the ratios of CPU time mean much.
      host: { cpus: cpus().length, node: process.version, loadBefore, loadAfter: loadavg() },
      // Where a binary lies on this machine says nothing elsewhere.
      options: { ...asked, ours: basename(options.ours), peer: basename(options.peer) },
      versions: { ours: nameless(await ours.versions()), peer: nameless(await peer.versions()) },
      cells,
      stretches,
    };
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
    note(`wrote ${out}`);
  } finally {
    generator.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function optionsOf(words: readonly string[]): { readonly options: Options; readonly firstWarmMs: number } {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...words],
      options: {
        full: { type: "boolean", default: false },
        ours: { type: "string", default: "reference" },
        peer: { type: "string", default: "etcd" },
        kinds: { type: "string", default: "put,range" },
        clients: { type: "string", default: "1,100,1000" },
        seconds: { type: "string" },
        rounds: { type: "string" },
        out: { type: "string", default: "bench/results/cluster.json" },
      },
    }));
  } catch (error) {
    throw new UsageError(
      `${error instanceof Error ? error.message.split(". ")[0] : String(error)}; give --full, --peer PATH, --kinds put,range, --clients 1,100,1000, --seconds N, --rounds N or --out FILE.`,
    );
  }
  const { full } = values;
  const seconds = positive("--seconds", values.seconds ?? (full ? "10" : "3"));
  const kinds = values.kinds.split(",").map((kind) => {
    if (kind !== "put" && kind !== "range")
      throw new UsageError(`--kinds ${values.kinds} names no load ${JSON.stringify(kind)}; give put, range or both.`);
    return kind;
  });
  return {
    firstWarmMs: full ? FIRST_WARM_FULL_MS : FIRST_WARM_MS,
    options: {
      ours: values.ours,
      peer: values.peer,
      kinds,
      clients: values.clients.split(",").map((count) => positive("--clients", count)),
      rounds: positive("--rounds", values.rounds ?? (full ? "3" : "1")),
      warmMs: full ? 3_000 : 1_000,
      measureMs: seconds * 1_000,
      out: values.out,
    },
  };
}

/** Versions without the place of the binary. */
function nameless(versions: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(versions).filter(([what]) => what !== "binary"));
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 100_000)
    throw new UsageError(`${flag} ${text} is no whole number from 1 to 100000.`);
  return value;
}

async function startedTarget(spec: string, runDir: string): Promise<Target> {
  mkdirSync(runDir);
  const target = await openTarget(spec, {
    nodes: MEMBERS,
    runDir,
    clock: systemClock,
    random: seededRandom(entropySeed()),
  });
  note(`starting ${target.name}`);
  // The trial's small snapshot count is for trials: both stores get etcd's own here. The later flag wins.
  await target.start({
    wrapper: [],
    env: {},
    links: false,
    faultChannel: false,
    extraArgs: ["--snapshot-count=100000"],
  });
  return target;
}

/** Runs one order in the generator, and reads the members' CPU time around the part that is measured. */
function load(
  generator: ChildProcess,
  target: Target,
  order: Omit<LoadOrder, "endpoints">,
): Promise<{ readonly figures: LoadFigures; readonly membersCpuUs: number }> {
  return new Promise((resolve, reject) => {
    let before = Number.NaN;
    const onExit = () => reject(new Error("the load generator ended"));
    const onMessage = (message: FromGenerator) => {
      if (message.type === "measuring") {
        before = cpuUsOf(target);
        return;
      }
      generator.off("message", onMessage);
      generator.off("exit", onExit);
      if (message.type === "failed") reject(new Error(`the load generator failed: ${message.message}`));
      else resolve({ figures: message.figures, membersCpuUs: cpuUsOf(target) - before });
    };
    generator.on("message", onMessage);
    generator.once("exit", onExit);
    generator.send({ ...order, endpoints: target.nodes.map((node) => target.endpoint(node.name)) } satisfies LoadOrder);
  });
}

/** proc(5): fields 14 and 15 are user and system time in ticks. NaN where there is no /proc. */
function cpuUsOf(target: Target): number {
  if (process.platform !== "linux") return Number.NaN;
  return target.nodes.reduce((sum, { name }) => {
    const stat = readFileSync(`/proc/${target.pid(name)}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND;
  }, 0);
}

function cellOf(stretches: readonly Stretch[], kind: LoadKind, clients: number): Cell {
  const of = (store: Stretch["store"]) =>
    summaryOf(stretches.filter((one) => one.store === store && one.kind === kind && one.clients === clients));
  const [ours, peer] = [of("ours"), of("peer")];
  return {
    kind,
    clients,
    ours,
    peer,
    rateRatio: ours.perSecond / peer.perSecond,
    cpuRatio: ours.memberCpuUs / peer.memberCpuUs,
  };
}

function summaryOf(stretches: readonly Stretch[]): Summary {
  const errors: Record<string, number> = {};
  for (const [what, count] of stretches.flatMap((one) => Object.entries(one.errors)))
    errors[what] = (errors[what] ?? 0) + count;
  const middle = (figure: (one: Stretch) => number) => median(stretches.map(figure));
  return {
    perSecond: middle((one) => one.operations / one.seconds),
    p50Us: middle((one) => one.p50Us),
    p99Us: middle((one) => one.p99Us),
    memberCpuUs: middle((one) => one.membersCpuUs / one.operations),
    generatorCpuUs: middle((one) => one.generatorCpuUs / one.operations),
    errors,
  };
}

function shown(cells: readonly Cell[], ours: string, peer: string): string {
  const head = [
    "load",
    `${ours}/s`,
    `${peer}/s`,
    "ratio",
    `${ours} p50/p99 ms`,
    `${peer} p50/p99 ms`,
    `cpu us/op ${ours}`,
    peer,
    "ratio",
    "generator us/op",
    "errors",
  ];
  const ms = ({ p50Us, p99Us }: Summary) => `${short(p50Us / 1_000)}/${short(p99Us / 1_000)}`;
  const rows = cells.map((cell) => [
    `${cell.kind} x${cell.clients}`,
    short(cell.ours.perSecond),
    short(cell.peer.perSecond),
    cell.rateRatio.toFixed(2),
    ms(cell.ours),
    ms(cell.peer),
    short(cell.ours.memberCpuUs),
    short(cell.peer.memberCpuUs),
    cell.cpuRatio.toFixed(2),
    short(median([cell.ours.generatorCpuUs, cell.peer.generatorCpuUs])),
    `${total(cell.ours.errors)}/${total(cell.peer.errors)}`,
  ]);
  return table([head, ...rows]);
}

function total(errors: Readonly<Record<string, number>>): number {
  return Object.values(errors).reduce((sum, count) => sum + count, 0);
}

function errorsIn(errors: Readonly<Record<string, number>>): string {
  const [worst] = Object.entries(errors).sort((a, b) => b[1] - a[1]);
  return worst === undefined ? "" : `, ${total(errors)} errors, most: ${worst[0]}`;
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
