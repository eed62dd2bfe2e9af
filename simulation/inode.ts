import type { Random } from "../seams/random.ts";

/** What a disk writes whole or not at all. */
export const SECTOR_BYTES = 512;

const ZERO_SECTOR = new Uint8Array(SECTOR_BYTES);

/** What a datasync that has begun will make durable, if it completes. */
export interface Capture {
  readonly sequence: number;
  readonly sectors: ReadonlyMap<number, Uint8Array | undefined>;
  readonly size: number;
}

/**
 * A file's content: what programs see, and what would be left after a power loss. Sectors are never changed in place, so a
 * capture is a set of references; an absent sector reads as zeros, so that reserving space costs nothing.
 */
export class Inode {
  readonly #seen = new Map<number, Uint8Array>();
  readonly #durable = new Map<number, Uint8Array>();
  /** Sectors in which the two may differ, in the order of the first change. */
  readonly #dirty = new Set<number>();
  #seenSize = 0;
  #durableSize = 0;
  /** The size differs from the durable one in a way that a sync would still repair. */
  #sizeDirty = false;
  #captures = 0;
  #lastPersisted = 0;

  get size(): number {
    return this.#seenSize;
  }

  read(into: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(into.length, this.#seenSize - position));
    for (let done = 0; done < length;) {
      const sector = Math.floor((position + done) / SECTOR_BYTES);
      const from = (position + done) % SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - from, length - done);
      into.set((this.#seen.get(sector) ?? ZERO_SECTOR).subarray(from, from + count), done);
      done += count;
    }
    return length;
  }

  write(data: Uint8Array, position: number): void {
    for (let done = 0; done < data.length;) {
      const sector = Math.floor((position + done) / SECTOR_BYTES);
      const from = (position + done) % SECTOR_BYTES;
      const count = Math.min(SECTOR_BYTES - from, data.length - done);
      const changed = (this.#seen.get(sector) ?? ZERO_SECTOR).slice();
      changed.set(data.subarray(done, done + count), from);
      this.#change(sector, changed);
      done += count;
    }
    this.#resize(Math.max(this.#seenSize, position + data.length));
  }

  allocate(size: number): void {
    this.#resize(Math.max(this.#seenSize, size));
  }

  truncate(size: number): void {
    const last = Math.floor(size / SECTOR_BYTES);
    for (const [sector, bytes] of this.#seen) {
      if (sector > last || (sector === last && size % SECTOR_BYTES === 0)) this.#change(sector, undefined);
      else if (sector === last) {
        const changed = bytes.slice();
        changed.fill(0, size % SECTOR_BYTES);
        this.#change(sector, changed);
      }
    }
    this.#resize(size);
  }

  /** A datasync begins: what is written from now on is not its business. */
  capture(): Capture {
    return {
      sequence: ++this.#captures,
      sectors: new Map([...this.#dirty].map((sector) => [sector, this.#seen.get(sector)])),
      size: this.#seenSize,
    };
  }

  /** The datasync succeeded. */
  persist(capture: Capture): void {
    // A later one that overtook it held all of this, or newer.
    if (capture.sequence < this.#lastPersisted) return;
    this.#lastPersisted = capture.sequence;
    for (const [sector, bytes] of capture.sectors) {
      put(this.#durable, sector, bytes);
      if (this.#seen.get(sector) === bytes) this.#dirty.delete(sector);
    }
    this.#durableSize = capture.size;
    if (this.#seenSize === capture.size) this.#sizeDirty = false;
  }

  /** The datasync failed: the kernel calls the pages clean, though they are not on the disk. A later datasync will not write them. */
  abandon(capture: Capture): void {
    for (const [sector, bytes] of capture.sectors) if (this.#seen.get(sector) === bytes) this.#dirty.delete(sector);
    if (this.#seenSize === capture.size) this.#sizeDirty = false;
  }

  /** The power goes: each unsynced sector, and the size, got to the disk or did not. Returns how many sectors were lost and kept. */
  losePower(random: Random): { lost: number; kept: number } {
    let kept = 0;
    // Three characters of a crash: all gone, all there, or sector by sector.
    const mood = random.below(3);
    const survives = () => mood === 1 || (mood === 2 && random.below(2) === 0);
    for (const sector of this.#dirty) {
      if (!survives()) continue;
      put(this.#durable, sector, this.#seen.get(sector));
      kept++;
    }
    if (this.#sizeDirty && survives()) this.#durableSize = this.#seenSize;
    const lost = this.#dirty.size - kept;
    const last = Math.floor((this.#durableSize - 1) / SECTOR_BYTES);
    for (const [sector] of this.#durable) if (sector > last) this.#durable.delete(sector);
    this.#zeroPastEnd();
    this.#seen.clear();
    for (const [sector, bytes] of this.#durable) this.#seen.set(sector, bytes);
    this.#seenSize = this.#durableSize;
    this.#dirty.clear();
    this.#sizeDirty = false;
    return { lost, kept };
  }

  #zeroPastEnd(): void {
    const sector = Math.floor(this.#durableSize / SECTOR_BYTES);
    const bytes = this.#durable.get(sector);
    if (bytes === undefined) return;
    const cut = bytes.slice();
    cut.fill(0, this.#durableSize % SECTOR_BYTES);
    this.#durable.set(sector, cut);
  }

  #change(sector: number, bytes: Uint8Array | undefined): void {
    put(this.#seen, sector, bytes);
    this.#dirty.add(sector);
  }

  #resize(size: number): void {
    if (size === this.#seenSize) return;
    this.#seenSize = size;
    this.#sizeDirty = true;
  }
}

function put(sectors: Map<number, Uint8Array>, sector: number, bytes: Uint8Array | undefined): void {
  if (bytes === undefined) sectors.delete(sector);
  else sectors.set(sector, bytes);
}
