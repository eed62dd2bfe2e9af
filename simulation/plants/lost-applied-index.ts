import type { Backend } from "../../reference/mvcc/backend.ts";
import type { Plant } from "../plant.ts";

/** Only one commit in so many takes its place in the log along. */
const WRITTEN_ONE_IN = 4;
const APPLIED = Buffer.from("applied");

/** Effects and applied index belong into one commit, broken: after a restart the last entries are applied a second time. */
export const lostAppliedIndex: Plant = {
  name: "lost-applied-index",
  summary: "most commits to the database leave out how far the log is applied in it",
  backend: (factory) => ({
    open: async () => forgetful(await factory.open()),
    restore: (stream) => factory.restore(stream),
  }),
};

function forgetful(backend: Backend): Backend {
  let commits = 0;
  return {
    commit(batch) {
      const keeps = commits++ % WRITTEN_ONE_IN === 0;
      return backend.commit(
        keeps ? batch : batch.filter(({ bucket, key }) => bucket !== "meta" || Buffer.compare(key, APPLIED) !== 0),
      );
    },
    get: (bucket, key) => backend.get(bucket, key),
    range: (bucket, start, end, options) => backend.range(bucket, start, end, options),
    snapshot: () => backend.snapshot(),
    sizeBytes: () => backend.sizeBytes(),
    close: () => backend.close(),
  };
}

/*
 * Caught by seed 1 (leader-loss):
 *   A member comes back and applies entries whose effects its database already has, so its revisions run ahead of the others':
 *   "operations 361 and 382 were both answered as having made revision 178"
 *   "members that have applied the same entries differ: n1 is at revision 811, HashKV c27e59e8; n2 is at revision 793, HashKV a73d2ea; ..."
 */
