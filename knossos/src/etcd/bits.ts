/** A small set of numbers below a bound fixed when it is made. */
export type Bits = Uint32Array;

export function noBits(bound: number): Bits {
  return new Uint32Array((bound >>> 5) + 1);
}

export function setBit(bits: Bits, index: number): void {
  bits[index >>> 5] = (bits[index >>> 5] as number) | (1 << (index & 31));
}

/** Adds the members of `more` that are at least `from`. */
export function addFrom(bits: Bits, more: Bits, from: number): void {
  const first = from >>> 5;
  for (let word = first; word < bits.length; word++) {
    const mask = word === first ? -1 << (from & 31) : -1;
    bits[word] = (bits[word] as number) | ((more[word] as number) & mask);
  }
}

/** The highest member below `below`, or -1. */
export function highest(bits: Bits, below: number): number {
  for (let index = below - 1; index >= 0; index--) {
    if (bits[index >>> 5] === 0) index &= ~31;
    else if (((bits[index >>> 5] as number) & (1 << (index & 31))) !== 0) return index;
  }
  return -1;
}
