import sortedBtree from "sorted-btree";

type Class = typeof sortedBtree.default;

// The package is CommonJS with its class as `exports.default`: Node hands over the exports, bundlers and test runners the class itself.
export const BTree: Class = typeof sortedBtree === "function" ? sortedBtree : sortedBtree.default;
export type BTree<K, V> = InstanceType<typeof sortedBtree.default<K, V>>;

/** Order of Latin-1 key texts: that of their bytes. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
