import { hunt } from "./hunt.ts";
import { faultsOf } from "./try-seed.ts";

/**
 * `node --conditions=@seatrial/source suites/simulation/main.ts PLANT|none [FROM] [COUNT]`: tries seeds until one refutes a guarantee, and says
 * what it found. Exit code 1 if one did.
 */
const [plant = "none", from = "0", count = "200"] = process.argv.slice(2);
const { caught, tried } = await hunt({
  ...(plant === "none" ? {} : { plant }),
  from: Number(from),
  count: Number(count),
  onSeed: ({ seed, verdict, traceHash }) => {
    const faults = faultsOf(seed).map(({ name }) => name);
    process.stderr.write(`seed ${seed} (${faults.join(", ")}): ${verdict.valid}, trace hash ${traceHash}\n`);
  },
});
if (caught === undefined) process.stdout.write(`${tried} seeds, nothing refuted\n`);
else {
  process.stdout.write(`seed ${caught.seed}: ${caught.verdict.summary}\n`);
  for (const { verdicts } of caught.verdict.suites) {
    for (const { checker, valid, findings } of verdicts) {
      if (valid === false)
        for (const { kind, message } of findings) process.stdout.write(`  ${checker}, ${kind}: ${message}\n`);
    }
  }
}
process.exitCode = caught === undefined ? 0 : 1;
