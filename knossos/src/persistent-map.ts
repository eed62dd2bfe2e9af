import { hashText, mix } from "./hashing.ts";

/**
 * An immutable sorted map that shares structure with what it came from. A treap whose priorities are hashes of the keys: the same
 * entries always have the same shape, so maps compare node by node and share what is equal; each node carries the hash of its subtree.
 */
export interface Tree<V> {
  readonly key: string;
  readonly value: V;
  readonly priority: number;
  readonly left: Tree<V> | undefined;
  readonly right: Tree<V> | undefined;
  /** Of all entries below, in any order. */
  readonly hash: number;
  readonly size: number;
}

/** What the map needs to know of its keys and values. */
export interface Entries<V> {
  compare(a: string, b: string): number;
  hash(value: V): number;
  equal(a: V, b: V): boolean;
}

function node<V>(
  entries: Entries<V>,
  key: string,
  value: V,
  priority: number,
  left: Tree<V> | undefined,
  right: Tree<V> | undefined,
): Tree<V> {
  const hash = (mix(hashText(key), entries.hash(value)) + (left?.hash ?? 0) + (right?.hash ?? 0)) | 0;
  return { key, value, priority, left, right, hash, size: 1 + (left?.size ?? 0) + (right?.size ?? 0) };
}

export function lookUp<V>(entries: Entries<V>, tree: Tree<V> | undefined, key: string): V | undefined {
  let at = tree;
  while (at !== undefined) {
    const order = entries.compare(key, at.key);
    if (order === 0) return at.value;
    at = order < 0 ? at.left : at.right;
  }
  return undefined;
}

export function insert<V>(entries: Entries<V>, tree: Tree<V> | undefined, key: string, value: V): Tree<V> {
  if (tree === undefined) return node(entries, key, value, hashText(key), undefined, undefined);
  const order = entries.compare(key, tree.key);
  if (order === 0) return node(entries, key, value, tree.priority, tree.left, tree.right);
  if (order < 0) {
    const left = insert(entries, tree.left, key, value);
    if (!above(left, tree)) return node(entries, tree.key, tree.value, tree.priority, left, tree.right);
    return node(
      entries,
      left.key,
      left.value,
      left.priority,
      left.left,
      node(entries, tree.key, tree.value, tree.priority, left.right, tree.right),
    );
  }
  const right = insert(entries, tree.right, key, value);
  if (!above(right, tree)) return node(entries, tree.key, tree.value, tree.priority, tree.left, right);
  return node(
    entries,
    right.key,
    right.value,
    right.priority,
    node(entries, tree.key, tree.value, tree.priority, tree.left, right.left),
    right.right,
  );
}

export function remove<V>(entries: Entries<V>, tree: Tree<V> | undefined, key: string): Tree<V> | undefined {
  if (tree === undefined) return undefined;
  const order = entries.compare(key, tree.key);
  if (order < 0) return node(entries, tree.key, tree.value, tree.priority, remove(entries, tree.left, key), tree.right);
  if (order > 0) return node(entries, tree.key, tree.value, tree.priority, tree.left, remove(entries, tree.right, key));
  return join(entries, tree.left, tree.right);
}

function join<V>(entries: Entries<V>, left: Tree<V> | undefined, right: Tree<V> | undefined): Tree<V> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (above(left, right))
    return node(entries, left.key, left.value, left.priority, left.left, join(entries, left.right, right));
  return node(entries, right.key, right.value, right.priority, join(entries, left, right.left), right.right);
}

/** Equal priorities are told apart by the keys, so that the shape depends on the entries alone. */
function above<V>(a: Tree<V>, b: Tree<V>): boolean {
  return a.priority !== b.priority ? a.priority > b.priority : a.key > b.key;
}

/** Entries with start <= key and, where there is an end, before it. */
export function* between<V>(
  entries: Entries<V>,
  tree: Tree<V> | undefined,
  inside: (key: string) => "before" | "in" | "after",
): Generator<readonly [string, V]> {
  if (tree === undefined) return;
  const place = inside(tree.key);
  if (place !== "before") yield* between(entries, tree.left, inside);
  if (place === "in") yield [tree.key, tree.value];
  if (place !== "after") yield* between(entries, tree.right, inside);
}

export function equalTrees<V>(entries: Entries<V>, a: Tree<V> | undefined, b: Tree<V> | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.hash !== b.hash || a.size !== b.size || a.key !== b.key) return false;
  return (
    entries.equal(a.value, b.value) && equalTrees(entries, a.left, b.left) && equalTrees(entries, a.right, b.right)
  );
}
