import { trySeed, type SeedResult } from "./try-seed.ts";

/** Tries seeds in order until one refutes; resolves to it and how many were tried. */
export async function hunt(options: {
  readonly plant?: string;
  readonly from: number;
  readonly count: number;
  readonly onSeed?: (result: SeedResult) => void;
}): Promise<{ readonly caught: SeedResult | undefined; readonly tried: number }> {
  for (let i = 0; i < options.count; i++) {
    const result = await trySeed({
      seed: options.from + i,
      ...(options.plant === undefined ? {} : { plant: options.plant }),
    });
    options.onSeed?.(result);
    if (result.verdict.valid === false) return { caught: result, tried: i + 1 };
  }
  return { caught: undefined, tried: options.count };
}
