import { defineConfig } from "vitest/config";

const conditions = ["@seatrial/source", "node", "import", "module", "default"];
const node = { environment: "node" as const, execArgv: ["--conditions=@seatrial/source"] };

function project(name: string, include: string[], options: { timeoutMs: number; exclude?: string[] }) {
  return {
    ssr: { resolve: { conditions, externalConditions: conditions } },
    resolve: { conditions },
    test: {
      ...node,
      name,
      include,
      exclude: ["**/node_modules/**", "**/dist/**", ...(options.exclude ?? [])],
      testTimeout: options.timeoutMs,
      hookTimeout: options.timeoutMs,
    },
  };
}

/** unit: pure and fast. contract: one suite, every implementation. integration: real processes. real: programs that are not ours. */
export default defineConfig({
  test: {
    reporters: ["default", "./tools/skip-reporter.ts"],
    // Two clusters at once keep two cores busy without starving each other's elections.
    maxWorkers: 2,
    projects: [
      project("unit", ["**/*.test.ts"], {
        timeoutMs: 30_000,
        exclude: ["**/*.contract.test.ts", "**/*.integration.test.ts", "**/*.real.test.ts"],
      }),
      project("contract", ["**/*.contract.test.ts"], { timeoutMs: 60_000 }),
      project("integration", ["**/*.integration.test.ts"], { timeoutMs: 120_000 }),
      project("real", ["**/*.real.test.ts"], { timeoutMs: 180_000 }),
    ],
  },
});
