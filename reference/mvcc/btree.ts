import sortedBtree from "sorted-btree";

// The package is CommonJS with its class as `exports.default`, which Node's interop hands over one level deeper than TypeScript's other targets.
export const BTree = sortedBtree.default;
export type BTree<K, V> = InstanceType<typeof sortedBtree.default<K, V>>;

/** Order of Latin-1 key texts: that of their bytes. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
