import { describe } from "vitest";
import { faultCatalogue } from "./index.ts";
import { faultsOnStoreContract } from "./store.contract.ts";

describe("faults on three members of the reference store", () => {
  faultsOnStoreContract(
    "reference",
    faultCatalogue.map(({ name }) => name),
  );
});
