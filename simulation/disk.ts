import { crc32c } from "@node-rs/crc32";
import type { Disk, File } from "../seams/disk.ts";
import type { Random } from "../seams/random.ts";
import { Directory } from "./directory.ts";
import { Inode } from "./inode.ts";
import type { Life, World } from "./world.ts";

export type DiskOperation =
  | "open"
  | "list"
  | "mkdir"
  | "rename"
  | "remove"
  | "syncDir"
  | "lock"
  | "read"
  | "write"
  | "allocate"
  | "truncate"
  | "datasync"
  | "size"
  | "close";

/** What a disk does wrong while it is injected. */
export interface DiskFault {
  readonly operations: readonly DiskOperation[];
  /** Added to the time the operation takes. */
  readonly delayMs?: number;
  /** The operation fails with this code: `EIO`, `ENOSPC`. */
  readonly code?: string;
}

/** Times that operations take, in microseconds: from, and below. */
const TIMES_US = { sync: [150, 900], transfer: [5, 40], name: [5, 30] } as const;

/**
 * One member's disk. It outlives the member's lives: `connect` gives each life its own view, `losePower` forgets what was not synced.
 * Effects on what programs see are immediate, in the order of the calls; promises resolve after simulated time.
 */
export class SimulatedDisk {
  readonly #world: World;
  readonly #name: string;
  readonly #random: Random;
  readonly #root = new Directory();
  readonly #locks = new Map<string, Life>();
  readonly #faults = new Set<DiskFault>();
  #slowestSyncMs = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.#name = name;
    this.#random = world.random.fork(`disk ${name}`);
  }

  /** The disk as one life of the member sees it; dead with it. */
  connect(life: Life): Disk {
    const at = (path: string) => this.#resolve(path);
    const file = (inode: Inode, path: string) => this.#file(life, inode, path);
    return {
      open: (path, options) =>
        this.#do(life, "open", path, () => {
          const { parent, name } = at(path);
          let entry = parent?.names.get(name);
          if (entry === undefined && options?.create === true && parent !== undefined) {
            entry = new Inode();
            parent.add(name, entry);
          }
          if (entry === undefined) throw failure("ENOENT", `${path} does not exist`);
          if (entry instanceof Directory) throw failure("EISDIR", `${path} is a directory`);
          return file(entry, path);
        }),
      list: (dir) => this.#do(life, "list", dir, () => [...(this.#directory(dir)?.names.keys() ?? [])].sort()),
      mkdir: (dir) =>
        this.#do(life, "mkdir", dir, () => {
          let here = this.#root;
          for (const part of parts(dir)) {
            const next = here.names.get(part) ?? here.addDirectory(part);
            if (!(next instanceof Directory)) throw failure("ENOTDIR", `${dir} goes through a file`);
            here = next;
          }
        }),
      rename: (from, to) =>
        this.#do(life, "rename", `${from} ${to}`, () => {
          const a = at(from);
          const b = at(to);
          if (a.parent?.names.has(a.name) !== true) throw failure("ENOENT", `${from} does not exist`);
          if (a.parent !== b.parent)
            throw failure(
              "EXDEV",
              `${from} and ${to} are in different directories: the simulated disk renames within one only`,
            );
          a.parent.rename(a.name, b.name);
        }),
      remove: (path) =>
        this.#do(life, "remove", path, () => {
          const { parent, name } = at(path);
          if (parent?.names.has(name) === true) parent.remove(name);
        }),
      syncDir: (dir) => {
        const directory = this.#directory(dir);
        const changes = directory?.capture() ?? 0;
        return this.#do(life, "syncDir", dir, () => {
          if (directory === undefined) throw failure("ENOENT", `${dir} does not exist`);
          return () => directory.persist(changes);
        }).then((persist) => persist());
      },
      lock: (dir) =>
        this.#do(life, "lock", dir, () => {
          const holder = this.#locks.get(dir);
          if (holder?.alive === true)
            throw failure("ELOCKED", `${dir} is in use by another process: stop it, or choose another directory`);
          this.#locks.set(dir, life);
          return {
            [Symbol.asyncDispose]: async () => {
              if (this.#locks.get(dir) === life) this.#locks.delete(dir);
            },
          };
        }),
    };
  }

  /** Everything not synced may be gone, torn by the sector. Call it after the member's life ended. */
  losePower(): void {
    const lostNames = this.#root.losePower(this.#random);
    this.#world.trace(`disk ${this.#name} loses power: ${lostNames} names`);
  }

  /** The longest that a datasync was given since the last fault was injected. */
  get slowestSyncMs(): number {
    return this.#slowestSyncMs;
  }

  /** In force until disposed. */
  inject(fault: DiskFault): Disposable {
    this.#faults.add(fault);
    this.#slowestSyncMs = 0;
    this.#world.trace(`disk ${this.#name} fault ${fault.operations.join()} ${fault.delayMs ?? 0} ${fault.code ?? ""}`);
    return {
      [Symbol.dispose]: () => {
        this.#faults.delete(fault);
        this.#world.trace(`disk ${this.#name} healed`);
      },
    };
  }

  #file(life: Life, inode: Inode, path: string): File {
    return {
      readAt: (into, position) => this.#do(life, "read", path, () => inode.read(into, position)),
      writeAt: (data, position) =>
        this.#do(life, "write", `${path} ${position}+${data.length} ${crc32c(data)}`, () => {
          inode.write(data, position);
        }),
      allocate: (size) =>
        this.#do(life, "allocate", path, () => {
          inode.allocate(size);
        }),
      truncate: (size) =>
        this.#do(life, "truncate", path, () => {
          inode.truncate(size);
        }),
      datasync: () => this.#datasync(life, inode, path),
      size: () => this.#do(life, "size", path, () => inode.size),
      close: () => this.#do(life, "close", path, () => undefined),
    };
  }

  #datasync(life: Life, inode: Inode, path: string): Promise<void> {
    if (!life.alive) return never();
    const { delayMs, code } = this.#cost("datasync");
    this.#slowestSyncMs = Math.max(this.#slowestSyncMs, delayMs);
    const capture = inode.capture();
    this.#world.trace(`${life.label} datasync begins ${path}: ${capture.sectors.size}`);
    return life.later(delayMs, `datasync ${path}`, () => {
      if (code !== undefined) {
        inode.abandon(capture);
        throw failure(code, `datasync of ${path} failed`);
      }
      inode.persist(capture);
    });
  }

  /** The effect now, or the failure; the answer later. */
  #do<T>(life: Life, operation: DiskOperation, what: string, effect: () => T): Promise<T> {
    if (!life.alive) return never();
    const { delayMs, code } = this.#cost(operation);
    this.#world.trace(`${life.label} ${operation} ${what}`);
    let settle: () => T;
    try {
      if (code !== undefined) throw failure(code, `${operation} of ${what} failed`);
      const value = effect();
      settle = () => value;
    } catch (error) {
      settle = () => {
        throw error;
      };
    }
    return life.later(delayMs, `${operation} done ${what}`, settle);
  }

  #cost(operation: DiskOperation): { delayMs: number; code: string | undefined } {
    const kind =
      operation === "datasync" || operation === "syncDir"
        ? "sync"
        : operation === "read" || operation === "write"
          ? "transfer"
          : "name";
    const [from, below] = TIMES_US[kind];
    let delayMs = (from + this.#random.below(below - from)) / 1000;
    let code: string | undefined;
    for (const fault of this.#faults) {
      if (!fault.operations.includes(operation)) continue;
      delayMs += fault.delayMs ?? 0;
      code ??= fault.code;
    }
    return { delayMs, code };
  }

  #resolve(path: string): { parent: Directory | undefined; name: string } {
    const all = parts(path);
    const name = all.pop() ?? "";
    return { parent: this.#directory(all.join("/")), name };
  }

  #directory(path: string): Directory | undefined {
    let here = this.#root;
    for (const part of parts(path)) {
      const next = here.names.get(part);
      if (!(next instanceof Directory)) return undefined;
      here = next;
    }
    return here;
  }
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** What a dead process awaits. */
function never(): Promise<never> {
  return new Promise(() => undefined);
}
