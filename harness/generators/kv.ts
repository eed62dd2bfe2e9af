import type { EtcdInput, EtcdRequest } from "knossos-ts";
import type { Random } from "../../seams/random.ts";

/** How many keys are in play at a time: few, so that clients contend for them. */
export const KEYS_IN_PLAY = 5;
/** After so long the keys in play are replaced, so that no key's history grows without bound. */
const ROTATE_EVERY_MS = 5_000;

/** What a draw may depend on: names and numbers that the client already holds, never an answer still under way. */
export interface KvMoment {
  readonly random: Random;
  /** All keys of the workload lie under it; ends in "/". */
  readonly prefix: string;
  /** Milliseconds since the load began. */
  readonly elapsedMs: number;
  /** A value no other write of the run has. */
  readonly unique: string;
  /** The newest revision this client has seen; 0 = none. */
  readonly seenRevision: number;
  /** What this client last read of a key: its mod revision, 0 if it was absent. */
  readonly seenModRevision: (key: string) => number | undefined;
}

type Draw = (moment: KvMoment) => EtcdInput | undefined;

/** Weights in percent. Compaction is rare: it costs revisioned reads and watchers their past. */
const TABLE: readonly (readonly [weight: number, draw: Draw])[] = [
  [26, drawPut],
  [7, (m) => ({ f: "delete", key: anyKey(m), prevKv: m.random.below(2) === 0 })],
  [2, (m) => ({ f: "delete", ...keysOf(m), prevKv: true })],
  [20, (m) => ({ f: "range", key: anyKey(m) })],
  [6, (m) => ({ f: "range", ...keysOf(m) })],
  [8, (m) => ({ f: "range", ...keysOf(m), serializable: true })],
  [7, drawPastRange],
  [14, drawCompareAndSwap],
  [9, drawMultiKeyTxn],
  [1, drawCompact],
];
const TOTAL = TABLE.reduce((sum, [weight]) => sum + weight, 0);

/** The next operation of a key-value client: a pure function of the moment. */
export function drawKvOperation(moment: KvMoment): EtcdInput {
  let at = moment.random.below(TOTAL);
  for (const [weight, draw] of TABLE) {
    if (at < weight) return draw(moment) ?? drawPut(moment);
    at -= weight;
  }
  return drawPut(moment);
}

function drawPut(moment: KvMoment): EtcdRequest {
  const prevKv = moment.random.below(4) === 0;
  return { f: "put", key: anyKey(moment), value: moment.unique, ...(prevKv ? { prevKv } : {}) };
}

/** A read of the past: some revision at or a little before the newest that was seen. */
function drawPastRange(moment: KvMoment): EtcdRequest | undefined {
  const revision = moment.seenRevision - moment.random.below(50);
  if (revision <= 1) return undefined;
  return { f: "range", ...keysOf(moment), revision };
}

/** put if the key is still as this client last read it, else read it again: an apiserver's update. */
function drawCompareAndSwap(moment: KvMoment): EtcdRequest {
  const key = anyKey(moment);
  const operand = moment.seenModRevision(key) ?? 0;
  return {
    f: "txn",
    compare: [{ key, target: "mod", result: "=", operand }],
    success: [{ f: "put", key, value: moment.unique }],
    failure: [{ f: "range", key }],
  };
}

/** Two keys written together, or the whole set read together: a torn transaction would show. */
function drawMultiKeyTxn(moment: KvMoment): EtcdRequest {
  const first = moment.random.below(KEYS_IN_PLAY);
  const second = (first + 1 + moment.random.below(KEYS_IN_PLAY - 1)) % KEYS_IN_PLAY;
  const [a, b] = [keyAt(moment, first), keyAt(moment, second)];
  return {
    f: "txn",
    compare: [{ key: a, target: "version", result: moment.random.below(2) === 0 ? ">" : "=", operand: 0 }],
    success: [
      { f: "put", key: a, value: moment.unique },
      { f: "put", key: b, value: moment.unique },
    ],
    failure: [
      { f: "delete", key: b },
      { f: "range", ...keysOf(moment) },
    ],
  };
}

/** Well behind what was seen, so that resuming watchers are seldom, but sometimes, cut off. */
function drawCompact(moment: KvMoment): EtcdInput | undefined {
  const revision = moment.seenRevision - 1_500 - moment.random.below(1_500);
  return revision > 1 ? { f: "compact", revision } : undefined;
}

function anyKey(moment: KvMoment): string {
  return keyAt(moment, moment.random.below(KEYS_IN_PLAY));
}

function keyAt(moment: KvMoment, index: number): string {
  return `${generation(moment)}${index}`;
}

/** The range that holds the keys in play, and no other. */
function keysOf(moment: KvMoment): { readonly key: string; readonly rangeEnd: string } {
  const key = generation(moment);
  return { key, rangeEnd: prefixEnd(key) };
}

function generation(moment: KvMoment): string {
  return `${moment.prefix}${Math.floor(moment.elapsedMs / ROTATE_EVERY_MS)}/`;
}

/** etcd's end of a prefix: the prefix with its last character made one greater (ASCII prefixes only). */
export function prefixEnd(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
