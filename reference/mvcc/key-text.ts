// Node's own primitive behind `buffer.toString("latin1")`: it takes any Uint8Array, without a Buffer made for it.
const latin1 = Reflect.get(Buffer.prototype, "latin1Slice") as (this: Uint8Array, start: number, end: number) => string;

/**
 * Keys are arbitrary bytes; the index and the lease sets hold them as text with one character per byte (Latin-1):
 * such strings compare as their bytes do, hash once, and take one byte a character in V8.
 */
export function keyText(key: Uint8Array): string {
  return latin1.call(key, 0, key.length);
}

/** The bytes that `keyText` was given. */
export function keyBytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** Above every key text: no Latin-1 character reaches it. */
export const ABOVE_ALL_KEYS = "\uffff";
