import { MODELS } from "knossos-ts";
import { afterEach, expect, test, vi } from "vitest";
import { faultCatalogue } from "../faults/index.ts";
import { simulatedFaults } from "../harness/targets/simulation/faults.ts";
import { suiteCatalogue } from "../suites/index.ts";
import { listCommand, modelsListed } from "./list.ts";

afterEach(() => vi.restoreAllMocks());

async function printed(options: { json?: boolean }): Promise<string> {
  const said: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => said.push(String(text)) > 0);
  expect(await listCommand(options)).toBe(0);
  return said.join("");
}

test("every model of the checker is described, and no other", () => {
  expect(modelsListed.map((model) => model.name).sort()).toEqual([...MODELS].sort());
});

test("the list names every suite and fault, for people and for programs", async () => {
  const text = await printed({});
  const json = JSON.parse(await printed({ json: true })) as { suites: { name: string }[]; faults: { name: string }[] };
  expect(json.suites.map((suite) => suite.name)).toEqual(suiteCatalogue.map((suite) => suite.name));
  expect(json.faults.map((fault) => fault.name)).toEqual(
    [...faultCatalogue, ...simulatedFaults].map((fault) => fault.name),
  );
  for (const { name } of [...json.suites, ...json.faults]) expect(text).toContain(name);
});
