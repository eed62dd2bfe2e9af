import { expect, test } from "vitest";
import { trySeed } from "./try-seed.ts";

/** 500 in the campaign. */
const SEEDS = Number(process.env["SEATRIAL_SEEDS"] ?? 12);

test(`the store holds in ${SEEDS} seeds`, { timeout: SEEDS * 30_000 }, async () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { verdict } = await trySeed({ seed });
    const refuted = verdict.suites.flatMap(({ verdicts }) => verdicts).filter(({ valid }) => valid !== true);
    expect(refuted, `seed ${seed}: node suites/simulation/main.ts none ${seed} 1`).toEqual([]);
    expect(verdict.valid, `seed ${seed}: ${verdict.summary}`).toBe(true);
  }
});
