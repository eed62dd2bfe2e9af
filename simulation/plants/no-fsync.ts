import type { Plant } from "../plant.ts";

/** A disk that says "synced" and syncs nothing: kill -9 does not show it, since the page cache survives; a power loss does. */
export const noFsync: Plant = {
  name: "no-fsync",
  summary: "datasync does nothing, so a power loss takes what was acknowledged",
  disk: (disk) => ({
    ...disk,
    open: async (path, options) => ({ ...(await disk.open(path, options)), datasync: async () => {} }),
  }),
};

/*
 * Caught by seed 1 (leader-loss):
 *   The leader n3 loses power after its election; its log, "synced" by this disk, is gone to the first sector.
 *   "n3 refuses to start: .../0000000000000000-0000000000000000.wal is damaged at offset 0: it does not begin with the member's identity"
 *   In other seeds the log is whole but shorter than the database: "what this member had promised is lost".
 */
