import type { Random } from "../seams/random.ts";
import type { Inode } from "./inode.ts";

export type DirectoryEntry = Inode | Directory;

type NameChange = (names: Map<string, DirectoryEntry>) => void;

/**
 * A directory's names: what programs see, and what would be left after a power loss. Changes reach the disk in order, so a crash
 * keeps some first ones of those not synced; a rename is one change. Directories made by `mkdir` are durable at once (see README).
 */
export class Directory {
  readonly names = new Map<string, DirectoryEntry>();
  readonly #durable = new Map<string, DirectoryEntry>();
  #unsynced: NameChange[] = [];
  /** Changes that are durable, counted since the beginning. */
  #persisted = 0;

  add(name: string, entry: Inode): void {
    this.#change((names) => names.set(name, entry));
  }

  addDirectory(name: string): Directory {
    const made = new Directory();
    this.names.set(name, made);
    this.#durable.set(name, made);
    return made;
  }

  remove(name: string): void {
    this.#change((names) => names.delete(name));
  }

  rename(from: string, to: string): void {
    const entry = this.names.get(from);
    if (entry === undefined) return;
    this.#change((names) => {
      names.delete(from);
      names.set(to, entry);
    });
  }

  /** How many changes a syncDir that begins now will have made durable. */
  capture(): number {
    return this.#persisted + this.#unsynced.length;
  }

  /** Syncs may overlap; one that another overtook has nothing left to do. */
  persist(upTo: number): void {
    const changes = this.#unsynced.splice(0, Math.max(0, upTo - this.#persisted));
    this.#persisted += changes.length;
    for (const change of changes) change(this.#durable);
  }

  /** Returns how many changes of names were lost, here and below. */
  losePower(random: Random): number {
    const kept = random.below(this.#unsynced.length + 1);
    let lost = this.#unsynced.length - kept;
    this.persist(this.#persisted + kept);
    this.#unsynced = [];
    this.names.clear();
    // In order of name: a map's own order would tell how it came about.
    for (const name of [...this.#durable.keys()].sort()) {
      const entry = this.#durable.get(name);
      if (entry === undefined) continue;
      this.names.set(name, entry);
      if (entry instanceof Directory) lost += entry.losePower(random);
      else entry.losePower(random);
    }
    return lost;
  }

  #change(change: NameChange): void {
    change(this.names);
    this.#unsynced.push(change);
  }
}
