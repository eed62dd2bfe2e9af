import { suiteCatalogue } from "../suites/index.ts";

/** What there is to name on a command line. */
interface Listed {
  readonly suites: readonly {
    readonly name: string;
    readonly summary: string;
    readonly guarantee: string;
    readonly needs: readonly string[];
  }[];
  readonly faults: readonly {
    readonly name: string;
    readonly summary: string;
    readonly envelope: string;
    readonly needs: readonly string[];
  }[];
  readonly targets: readonly { readonly name: string; readonly summary: string }[];
  readonly models: readonly { readonly name: string; readonly summary: string }[];
  readonly plants: readonly { readonly name: string; readonly summary: string }[];
}

export const targetsListed: Listed["targets"] = [
  { name: "reference", summary: "the reference store of this project, three processes of it" },
  { name: "etcd", summary: "the etcd on PATH" },
  { name: "PATH", summary: "the path of any binary that starts like etcd" },
  { name: "endpoints", summary: "a cluster that runs already, named with --endpoints; no faults" },
  { name: "simulation", summary: "the reference store in a deterministic world: one seed is one run" },
];

export async function listCommand(options: { readonly json?: boolean }): Promise<number> {
  const listed = await gather();
  process.stdout.write(
    options.json === true ? `${JSON.stringify(listed, null, 2)}\n` : `${lines(listed).join("\n")}\n`,
  );
  return 0;
}

async function gather(): Promise<Listed> {
  const { faultCatalogue } = await import("../faults/index.ts");
  const { simulatedFaults } = await import("../harness/targets/simulation/faults.ts");
  const { plants } = await import("../simulation/plants/index.ts");
  return {
    suites: suiteCatalogue.map(({ name, summary, guarantee, needs }) => ({ name, summary, guarantee, needs })),
    faults: [...faultCatalogue, ...simulatedFaults].map(({ name, summary, envelope, needs }) => ({
      name,
      summary,
      envelope,
      needs,
    })),
    targets: targetsListed,
    models: modelsListed,
    plants: plants.map(({ name, summary }) => ({ name, summary })),
  };
}

export const modelsListed: Listed["models"] = [
  { name: "register", summary: "one value, read and written" },
  { name: "cas-register", summary: "a register with compare-and-swap" },
  { name: "multi-register", summary: "several registers, read and written together" },
  { name: "counter", summary: "a number that is added to and read" },
  { name: "kv", summary: "strings by key: get, put, append" },
  { name: "etcd", summary: "etcd's key-value space with revisions, transactions, leases and watches" },
];

function lines(listed: Listed): readonly string[] {
  const table = (title: string, rows: readonly { readonly name: string; readonly summary: string }[]) => {
    const width = Math.max(...rows.map((row) => row.name.length)) + 2;
    return [title, ...rows.map((row) => `  ${row.name.padEnd(width)}${row.summary}`), ""];
  };
  return [
    ...table("Suites", listed.suites),
    ...table("Faults", listed.faults),
    ...table("Targets", listed.targets),
    ...table("Models", listed.models),
    ...table("Planted bugs (run --target simulation --plant NAME)", listed.plants),
  ].slice(0, -1);
}
