import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The file that carries a directory's lock; always empty. */
export const LOCK_FILE = "LOCK";

const SQLITE_BUSY = 5;

/**
 * Takes a directory until disposed or until this process dies, however it dies. Node offers no flock(2); SQLite's
 * exclusive transaction is a kernel lock (fcntl) on the file, so no pid has to be guessed alive and no stale lock can be left.
 * Rejects with `code: "ELOCKED"` if another process, or this one, holds it.
 */
export async function lockDirectory(dir: string): Promise<AsyncDisposable> {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(join(dir, LOCK_FILE), { timeout: 0 });
  } catch (cause) {
    throw Object.assign(
      new Error(`cannot open the lock file of ${dir}: it must be a directory this process may write to`, { cause }),
      { code: "EACCES" },
    );
  }
  try {
    // journal_mode OFF: nothing is ever written, and no second file may appear.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  } catch (cause) {
    database.close();
    if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw cause;
    throw Object.assign(
      new Error(`${dir} is in use by another process: stop it, or choose another directory`, { cause }),
      { code: "ELOCKED" },
    );
  }
  return {
    async [Symbol.asyncDispose]() {
      database.close();
    },
  };
}
