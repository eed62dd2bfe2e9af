import { expect, test } from "vitest";
import { findByName, selectFaults, splitByNeeds } from "./selection.ts";

const CATALOGUE = [
  { name: "process/kill", needs: ["processes"] },
  { name: "network/partition", needs: ["links"] },
  { name: "disk/slow", needs: ["fault-channel"] },
  { name: "network/slow", needs: ["links"] },
];
const has = (capability: string) => capability === "processes" || capability === "links";

test("a whole name or a unique last part finds it", () => {
  expect(findByName("fault", CATALOGUE, "process/kill")).toBe(CATALOGUE[0]);
  expect(findByName("fault", CATALOGUE, "kill")).toBe(CATALOGUE[0]);
});

test("an ambiguous or unknown name is refused with what there is", () => {
  expect(() => findByName("fault", CATALOGUE, "slow")).toThrow("could be disk/slow or network/slow");
  expect(() => findByName("fault", CATALOGUE, "meteor")).toThrow(/no fault 'meteor'; there is process\/kill, network/);
});

test("'all' skips what the target cannot have and says so", () => {
  const { usable, notTried } = selectFaults(CATALOGUE, "all", has, "etcd");
  expect(usable.map((one) => one.name)).toEqual(["process/kill", "network/partition", "network/slow"]);
  expect(notTried).toEqual([{ what: "disk/slow", reason: "target etcd has no fault-channel" }]);
});

test("a fault that was named and cannot be had is refused", () => {
  expect(() => selectFaults(CATALOGUE, ["kill", "disk/slow"], has, "etcd")).toThrow(
    "fault 'disk/slow' cannot be had here",
  );
  expect(selectFaults(CATALOGUE, "none", has, "etcd").usable).toEqual([]);
});

test("a fault that is named twice comes once", () => {
  expect(selectFaults(CATALOGUE, ["kill", "process/kill"], has, "etcd").usable).toHaveLength(1);
  expect(splitByNeeds(CATALOGUE, () => true, "x").notTried).toEqual([]);
});
