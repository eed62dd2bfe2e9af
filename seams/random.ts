/** The only source of chance: a stream that its seed determines. */
export interface Random {
  /** Uniform in [0, 2^32). */
  uint32(): number;
  /** Uniform integer in [0, bound); bound from 1 to 2^32. */
  below(bound: number): number;
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform 64-bit unsigned. */
  uint64(): bigint;
  /** An independent stream: a function of this one's seed and the label alone, not of what was drawn. */
  fork(label: string): Random;
}

/** xoshiro128** 1.1 (Blackman and Vigna), seeded through a splitmix32-like mix of an FNV-1a hash. */
export function seededRandom(seed: number | string): Random {
  return new Xoshiro128(String(seed));
}

class Xoshiro128 implements Random {
  readonly #origin: string;
  readonly #state: Uint32Array;

  constructor(origin: string) {
    this.#origin = origin;
    this.#state = new Uint32Array(4);
    let mix = fnv1a(origin);
    for (let i = 0; i < 4; i++) {
      mix = (mix + 0x9e3779b9) >>> 0;
      let z = mix;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      this.#state[i] = z ^ (z >>> 16);
    }
  }

  uint32(): number {
    const s = this.#state;
    const s0 = s[0] ?? 0;
    const s1 = s[1] ?? 0;
    const s2 = (s[2] ?? 0) ^ s0;
    const s3 = (s[3] ?? 0) ^ s1;
    s[0] = s0 ^ s3;
    s[1] = s1 ^ s2;
    s[2] = s2 ^ (s1 << 9);
    s[3] = rotateLeft(s3, 11);
    return Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
  }

  below(bound: number): number {
    // Rejection keeps it uniform: values past the largest multiple of `bound` are thrown away.
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % bound);
    for (;;) {
      const value = this.uint32();
      if (value < limit) return value % bound;
    }
  }

  float(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  uint64(): bigint {
    return (BigInt(this.uint32()) << 32n) | BigInt(this.uint32());
  }

  fork(label: string): Random {
    return new Xoshiro128(`${this.#origin}/${label}`);
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
