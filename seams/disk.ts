/**
 * Durable storage as a log needs it. A write is durable only after a `datasync` that began after it has resolved;
 * a created, renamed or removed name only after `syncDir` of its directory. Errors carry Node's `code` (`ENOSPC`, `EIO`, `ENOENT`...).
 * Real: `seams/node/disk.ts`; simulated, with crashes that forget and tear: `simulation/disk.ts`.
 */
export interface Disk {
  /** Opens for reading and writing. `create`: make it if missing. Missing without `create`: `ENOENT`. */
  open(path: string, options?: { create?: boolean }): Promise<File>;
  /** Names (not paths) in a directory, sorted; `[]` if the directory is missing. */
  list(dir: string): Promise<readonly string[]>;
  /** Makes a directory and its parents. */
  mkdir(dir: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file or a whole directory; a missing one is fine. */
  remove(path: string): Promise<void>;
  syncDir(dir: string): Promise<void>;
  /** Takes the directory for this process; rejects with `code: "ELOCKED"` if another one holds it. */
  lock(dir: string): Promise<AsyncDisposable>;
}

export interface File {
  /** Fills `into` from `position`; resolves to the number of bytes read (fewer only at the end of the file). */
  readAt(into: Uint8Array, position: number): Promise<number>;
  writeAt(data: Uint8Array, position: number): Promise<void>;
  /** Makes the file at least `sizeBytes` long with its space reserved; new space reads as zeros. */
  allocate(sizeBytes: number): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  /** fdatasync(2). A failure means the data may be gone: the member must stop, never retry. */
  datasync(): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
