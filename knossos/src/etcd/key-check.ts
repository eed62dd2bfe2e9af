import type { KeyFacts, Need, Point, Source } from "./key-facts.ts";
import { countIn, firstAfter, hasIn, lastUpTo, pointIndexUpTo, showPoint } from "./key-facts.ts";
import type { EtcdOperation } from "./requests.ts";

/** What the checks of one key need of the rest. */
export interface KeyWorld {
  /** The revision at which the history begins. */
  readonly base: number;
  /** Revisions that no acknowledged write made, ascending. */
  readonly gaps: readonly number[];
  readonly writers: ReadonlyMap<number, EtcdOperation>;
  readonly needs: Need[];
  /** Whether some revision in (after, before) may have deleted the key. */
  mayDelete(key: string, after: number, before: number): boolean;
  refute(kind: string, message: string, ...sources: readonly Source[]): void;
}

/** Holds everything that was seen of one key against itself and against the writers that are known. */
export class KeyCheck {
  readonly #key: string;
  readonly #facts: KeyFacts;
  readonly #world: KeyWorld;

  constructor(key: string, facts: KeyFacts, world: KeyWorld) {
    this.#key = key;
    this.#facts = facts;
    this.#world = world;
  }

  run(): void {
    this.#points();
    this.#absents();
  }

  #points(): void {
    const facts = this.#facts;
    let before: Point | undefined;
    for (const point of facts.points) {
      this.#checkPoint(point, before);
      before = point;
    }
  }

  #checkPoint(point: Point, before: Point | undefined): void {
    const key = this.#key;
    const facts = this.#facts;
    const writer = this.#world.writers.get(point.revision);
    if (writer !== undefined && !hasIn(facts.puts, point.revision)) {
      this.#world.refute(
        "foreign-record",
        `${key} was seen with mod revision ${point.revision}, but that revision was made by operation ${writer.op}, which did not put ${key}`,
        point.by,
        { operation: writer.op },
      );
    } else if (
      writer === undefined &&
      point.revision > this.#world.base &&
      countIn(this.#world.gaps, point.revision - 1, point.revision) === 0
    ) {
      this.#world.refute(
        "unknown-revision",
        `${key} was seen with mod revision ${point.revision}, but no such revision was reached`,
        point.by,
      );
    }
    const nextTouch = Math.min(firstAfter(facts.puts, point.revision), firstAfter(facts.deletes, point.revision));
    if (nextTouch <= point.until) {
      const by = this.#world.writers.get(nextTouch);
      this.#world.refute(
        "stale-read",
        `${showPoint(key, point)} was answered at revision ${point.until}, but revision ${nextTouch} had already changed ${key}`,
        point.untilBy,
        by === undefined ? {} : { operation: by.op },
      );
    }
    if (before === undefined) return;
    if (before.until >= point.revision) {
      this.#world.refute(
        "stale-read",
        `${showPoint(key, before)} was answered at revision ${before.until}, but at revision ${point.revision} it had become ${showPoint(key, point)}`,
        before.untilBy,
        point.by,
      );
    } else if (point.create > before.revision) {
      if (!this.#world.mayDelete(key, before.until, point.create)) {
        this.#world.refute(
          "lost-write",
          `${showPoint(key, before)} was there at revision ${before.until}, and ${showPoint(key, point)} was created anew at ${point.create}, but nothing between can have deleted it`,
          before.untilBy,
          point.by,
        );
      }
    } else {
      this.#checkGeneration(before, point);
    }
  }

  /** Two sightings of one generation: the versions between them count the puts. */
  #checkGeneration(before: Point, point: Point): void {
    const key = this.#key;
    const facts = this.#facts;
    if (before.create !== point.create) {
      this.#world.refute(
        "disagreeing-records",
        `${showPoint(key, before)} and ${showPoint(key, point)} cannot both be: the key was not created anew between them`,
        before.by,
        point.by,
      );
      return;
    }
    const known = countIn(facts.puts, before.revision, point.revision - 1);
    const hidden = point.version - before.version - 1 - known;
    const gaps = countIn(this.#world.gaps, before.revision, point.revision - 1);
    // What happened before the history began left no gaps to count.
    const counted = before.until >= this.#world.base;
    if (hidden < 0 || (counted && hidden > gaps)) {
      const text =
        hidden < 0
          ? `${known} puts between are acknowledged`
          : `only ${known} acknowledged puts and ${gaps} unexplained revisions lie between`;
      this.#world.refute(
        hidden < 0 ? "lost-write" : "unexplained-version",
        `${showPoint(key, before)} became ${showPoint(key, point)}, but ${text}`,
        before.by,
        point.by,
      );
    }
    const deleted = firstAfter(facts.deletes, before.revision);
    if (deleted < point.revision) {
      const by = this.#world.writers.get(deleted);
      this.#world.refute(
        "lost-delete",
        `${key} was deleted at revision ${deleted}, but ${showPoint(key, point)} says that it lived on since ${point.create}`,
        point.by,
        by === undefined ? {} : { operation: by.op },
      );
    }
    if (hidden > 0 && counted)
      this.#world.needs.push({ key, from: before.revision, to: point.revision, versionBefore: point.version - 1 });
  }

  #absents(): void {
    const key = this.#key;
    const facts = this.#facts;
    for (const at of facts.absents) {
      const put = lastUpTo(facts.puts, at);
      const index = pointIndexUpTo(facts, at);
      const point = facts.points[index];
      const next = facts.points[index + 1];
      const by = facts.absentBy.get(at) ?? {};
      if (point !== undefined && point.until >= at) {
        this.#world.refute(
          "lost-write",
          `${key} was absent at revision ${at}, but ${showPoint(key, point)} was there from ${point.revision} to ${point.until}`,
          by,
          point.untilBy,
        );
      } else if (next !== undefined && next.create <= at) {
        this.#world.refute(
          "lost-write",
          `${key} was absent at revision ${at}, but ${showPoint(key, next)} says that it was there since ${next.create}`,
          by,
          next.by,
        );
      } else {
        const since = Math.max(put ?? -1, point?.until ?? -1);
        if (since >= 0 && !this.#world.mayDelete(key, since, at + 1)) {
          const writer = put === undefined ? undefined : this.#world.writers.get(put);
          this.#world.refute(
            "lost-write",
            `${key} was absent at revision ${at}, but it was there at ${since} and nothing between can have deleted it`,
            by,
            writer === undefined ? (point?.untilBy ?? {}) : { operation: writer.op },
          );
        }
      }
    }
  }
}
