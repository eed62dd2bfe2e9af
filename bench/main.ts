import { isUsageError, UsageError } from "../harness/errors.ts";

const benches: Readonly<Record<string, () => Promise<(words: readonly string[]) => Promise<void>>>> = {
  cluster: async () => (await import("./cluster.ts")).clusterBench,
};

const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && !first.startsWith("-");
const name = named ? first : "cluster";
try {
  const load = benches[name];
  if (load === undefined)
    throw new UsageError(`there is no bench ${JSON.stringify(name)}; there is ${Object.keys(benches).join(", ")}.`);
  await (
    await load()
  )(named ? rest : process.argv.slice(2));
} catch (error) {
  if (!isUsageError(error)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 2;
}
