import { constants, existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { Disk, File } from "../disk.ts";
import { lockDirectory } from "./lock.ts";

/** Real files. Every handle is closed by whoever opened it; none is left to the garbage collector. */
export const nodeDisk: Disk = {
  async open(path, options) {
    const flags = constants.O_RDWR | (options?.create === true ? constants.O_CREAT : 0);
    return new NodeFile(await open(path, flags, 0o600));
  },

  async list(dir) {
    try {
      return (await readdir(dir)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  },

  mkdir: makeFolder,

  rename,

  async remove(path) {
    await rm(path, { recursive: true, force: true });
  },

  async syncDir(dir) {
    const handle = await open(dir, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  lock: lockDirectory,
};

const ZEROS = new Uint8Array(1024 * 1024);

class NodeFile implements File {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async readAt(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async writeAt(data: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < data.length) {
      const { bytesWritten } = await this.#handle.write(data, done, data.length - done, position + done);
      done += bytesWritten;
    }
  }

  /**
   * Writes the zeros: Node has no fallocate(2), and a hole would reserve nothing (ENOSPC would come late)
   * and make each later fdatasync journal new extents.
   */
  async allocate(sizeBytes: number): Promise<void> {
    for (let at = await this.size(); at < sizeBytes;) {
      const length = Math.min(ZEROS.length, sizeBytes - at);
      await this.writeAt(ZEROS.subarray(0, length), at);
      at += length;
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes);
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync();
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Folder by folder: Node's recursive mkdir never returns where a file system refuses new names (/proc). */
async function makeFolder(dir: string): Promise<void> {
  if (existsSync(dir)) return;
  await makeFolder(dirname(dir));
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
