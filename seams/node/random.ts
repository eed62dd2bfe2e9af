import { randomInt } from "node:crypto";
import { seededRandom, type Random } from "../random.ts";

/** A fresh seed, from 0 to 2^32 - 1: short enough to be typed again. */
export function entropySeed(): number {
  return randomInt(0x1_0000_0000);
}

/** A stream that nobody can predict. Print the seed instead of using this wherever a run should be repeatable. */
export function systemRandom(): Random {
  return seededRandom(entropySeed());
}
