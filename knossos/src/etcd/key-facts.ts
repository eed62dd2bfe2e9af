import type { EtcdKv } from "../models/etcd-types.ts";
import { showKv } from "./match.ts";
import { upperBound } from "./order.ts";

/** Something that no order of the operations can make true. */
export interface Contradiction {
  readonly kind: string;
  readonly message: string;
  readonly operations: readonly number[];
  readonly streams?: readonly number[];
}

/** A put that somebody saw: at `revision` the key got this record, and it was still there at `until`. */
export interface Point {
  readonly revision: number;
  create: number;
  version: number;
  /** Absent for the creation of a record that was only seen in a later version. */
  kv?: EtcdKv;
  keysOnly: boolean;
  until: number;
  readonly by: Source;
  untilBy: Source;
}

/** Who saw it. */
export interface Source {
  readonly operation?: number;
  readonly stream?: number;
}

export interface KeyFacts {
  readonly pointAt: Map<number, Point>;
  points: Point[];
  /** Revisions at which somebody saw that the key was not there. */
  absents: number[];
  readonly absentBy: Map<number, Source>;
  /** Revisions whose writer we know, by what it did to the key. */
  readonly puts: number[];
  readonly deletes: number[];
}

/** Where in the ascending points the last one up to a revision is; -1 if there is none. */
export function pointIndexUpTo(facts: KeyFacts, revision: number): number {
  let low = 0;
  let high = facts.points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((facts.points[middle] as Point).revision <= revision) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Between two sightings of one generation the key was put `hidden` times by someone unknown. */
export interface Need {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  /** The version that the key has just before `to`. */
  readonly versionBefore: number;
}

export function showPoint(key: string, point: Point): string {
  return point.kv === undefined ? `${key} (created at ${point.create})` : showKv(point.kv);
}

export function firstAfter(sorted: readonly number[], value: number): number {
  return sorted[upperBound(sorted, value)] ?? Number.POSITIVE_INFINITY;
}

export function lastUpTo(sorted: readonly number[], value: number): number | undefined {
  return sorted[upperBound(sorted, value) - 1];
}

/** How many numbers of an ascending array lie in (after, upTo]. */
export function countIn(sorted: readonly number[], after: number, upTo: number): number {
  return upTo <= after ? 0 : upperBound(sorted, upTo) - upperBound(sorted, after);
}

export function hasIn(sorted: readonly number[], value: number): boolean {
  return sorted[upperBound(sorted, value) - 1] === value;
}
