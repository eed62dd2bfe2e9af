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
