import { ABOVE_ALL_KEYS, keyText } from "./key-text.ts";
import type { KeyRange } from "./types.ts";

/** A key range made ready for the index. */
export interface Span {
  readonly low: string;
  /** Exclusive; unused when `single`. */
  readonly high: string;
  /** Just the key `low`. */
  readonly single: boolean;
}

/** etcd's rule for `range_end`: empty is the one key, a single zero byte is "from key on", anything else an exclusive end. */
export function spanOf(range: KeyRange): Span {
  const low = keyText(range.key);
  const end = range.rangeEnd;
  if (end.length === 0) return { low, high: low, single: true };
  if (end.length === 1 && end[0] === 0) return { low, high: ABOVE_ALL_KEYS, single: false };
  return { low, high: keyText(end), single: false };
}

export function spanHas(span: Span, text: string): boolean {
  return span.single ? text === span.low : text >= span.low && text < span.high;
}

/** The exclusive end that makes a prefix of a range: the next key that does not start with it. All 0xff: "from key on". */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0;
    if (byte < 0xff) {
      end[i] = byte + 1;
      return end.slice(0, i + 1);
    }
  }
  return Uint8Array.of(0);
}
