import { fc, test as property } from "@fast-check/vitest";
import type { EtcdInput } from "knossos-ts";
import { expect, test } from "vitest";
import { seededRandom } from "../../seams/random.ts";
import { drawKvOperation, KEYS_IN_PLAY, prefixEnd, type KvMoment } from "./kv.ts";

const moment = (seed: number, overrides: Partial<KvMoment> = {}): KvMoment => ({
  random: seededRandom(seed),
  prefix: "kv/",
  elapsedMs: 0,
  unique: "u",
  seenRevision: 10_000,
  seenModRevision: () => 7,
  ...overrides,
});
const kindsOf = (inputs: readonly EtcdInput[]) => new Set(inputs.map((input) => input.f));
const drawn = (count: number, overrides: Partial<KvMoment> = {}) => {
  const one = moment(1, overrides);
  return Array.from({ length: count }, () => drawKvOperation(one));
};

property.prop([fc.nat(), fc.nat({ max: 100_000 }), fc.nat({ max: 100_000 })])(
  "every operation stays within the keys in play, and asks for no future revision",
  (seed, elapsedMs, seenRevision) => {
    const input = drawKvOperation(moment(seed, { elapsedMs, seenRevision }));
    if ("key" in input) expect(input.key).toMatch(new RegExp(`^kv/\\d+/[0-${KEYS_IN_PLAY - 1}]?$`));
    if ("rangeEnd" in input && input.rangeEnd !== undefined) expect(input.rangeEnd > input.key).toBe(true);
    if ("revision" in input && input.revision !== undefined) {
      expect(input.revision).toBeGreaterThan(0);
      expect(input.revision).toBeLessThanOrEqual(seenRevision);
    }
  },
);

property.prop([fc.nat()])("the same seed draws the same operations", (seed) => {
  expect(drawKvOperation(moment(seed))).toEqual(drawKvOperation(moment(seed)));
});

test("every kind of operation is drawn", () => {
  const inputs = drawn(2_000);
  expect(kindsOf(inputs)).toEqual(new Set(["put", "delete", "range", "txn", "compact"]));
  const ranges = inputs.filter((input) => input.f === "range");
  expect(ranges.some((range) => range.serializable === true)).toBe(true);
  expect(ranges.some((range) => (range.revision ?? 0) > 0)).toBe(true);
  expect(inputs.some((input) => input.f === "txn" && input.success.length === 2)).toBe(true);
});

test("a client that has seen nothing asks for no past and compacts nothing", () => {
  const inputs = drawn(2_000, { seenRevision: 0 });
  expect(kindsOf(inputs).has("compact")).toBe(false);
  expect(inputs.some((input) => input.f === "range" && input.revision !== undefined)).toBe(false);
});

test("the two keys of a transaction differ: etcd refuses a key put twice", () => {
  for (const input of drawn(2_000)) {
    if (input.f !== "txn" || input.success.length < 2) continue;
    const keys = input.success.map((request) => ("key" in request ? request.key : ""));
    expect(new Set(keys).size).toBe(keys.length);
  }
});

test("keys are replaced as time goes on", () => {
  const early = new Set(drawn(200).flatMap((input) => ("key" in input ? [input.key] : [])));
  const late = drawn(200, { elapsedMs: 60_000 }).flatMap((input) => ("key" in input ? [input.key] : []));
  expect(late.some((key) => early.has(key))).toBe(false);
});

test("the end of a prefix holds all that begins with it", () => {
  expect(prefixEnd("kv/")).toBe("kv0");
});
