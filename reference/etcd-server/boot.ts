import type { StateMachine } from "../apply/types.ts";
import { openStateMachine } from "../apply/state-machine.ts";
import type { Backend } from "../mvcc/backend.ts";
import type { Index, RaftConfig, Term } from "../raft/types.ts";
import { SnapshotFiles } from "../wal/snapshot-files.ts";
import type { Wal, WalContents } from "../wal/types.ts";
import { createWal, openWal, walExists } from "../wal/wal.ts";
import { StartError, type MemberConfig, type MemberSeams } from "./config.ts";

/** A member's durable state, opened: the backend and its machine are replaced when a snapshot is installed. */
export interface Storage {
  readonly wal: Wal;
  readonly files: SnapshotFiles;
  backend: Backend;
  machine: StateMachine;
  readonly raft: Pick<
    RaftConfig,
    | "id"
    | "confState"
    | "hardState"
    | "snapshot"
    | "entries"
    | "applied"
    | "electionTicks"
    | "heartbeatTicks"
    | "preVote"
    | "checkQuorum"
  >;
  close(): Promise<void>;
}

/**
 * Opens `<data-dir>/member` and puts log and database together. The rules: the database never is ahead of the log (its log was lost),
 * and a snapshot record ahead of the database means that an installation was interrupted: it is finished from its file.
 */
export async function openStorage(config: MemberConfig, seams: MemberSeams): Promise<Storage> {
  const { disk } = seams;
  const dir = `${config.dataDir}/member`;
  await disk.mkdir(dir);
  const lock = await disk.lock(dir);
  let wal: Wal | undefined;
  let backend: Backend | undefined;
  try {
    const files = new SnapshotFiles(disk, `${dir}/snap`);
    const machineOf = seams.makeStateMachine ?? openStateMachine;
    const identity = { nodeId: config.self, clusterId: config.clusterId };
    let contents: WalContents | undefined;
    if (await walExists(disk, `${dir}/wal`)) {
      const opened = await openWal(disk, `${dir}/wal`, identity, config.wal);
      ({ wal, contents } = opened);
      if (contents.torn) seams.log("warn", "cut off a torn record at the log's end", contents.torn);
    }
    backend = await seams.backend.open();
    let machine = machineOf(backend);
    const start = contents?.start;
    if (start !== undefined && machine.appliedIndex < start.index) {
      seams.log("info", "finishing an interrupted installation of a snapshot", { index: start.index });
      await backend.close();
      try {
        await seams.backend.restore(files.read(start));
      } catch (cause) {
        if ((cause as { code?: string }).code !== "ENOENT") throw cause;
        throw new StartError(
          `${dir}: the log starts at index ${start.index}, but the database ends at ${machine.appliedIndex} and there is no snapshot file between them: restore this member from a backup, or remove it from the cluster and add it anew`,
          { cause },
        );
      }
      backend = await seams.backend.open();
      machine = machineOf(backend);
    }
    const last = contents?.entries.at(-1)?.index ?? start?.index ?? 0;
    if (machine.appliedIndex > last) {
      throw new StartError(
        `${dir}: the database has applied index ${machine.appliedIndex}, but the log ends at ${last}: what this member had promised is lost; restore it from a backup, or remove it from the cluster and add it anew`,
      );
    }
    wal ??= await createWal(disk, `${dir}/wal`, identity, config.wal);
    await files.prune(0);
    const voters = config.members.map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1));
    const hardState = contents?.hardState ?? { term: 0 as Term, vote: 0n as RaftConfig["id"], commit: 0 as Index };
    const log = wal;
    const storage: Storage = {
      wal: log,
      files,
      backend,
      machine,
      raft: {
        id: config.self,
        confState: machine.confState ?? { voters, learners: [] },
        // What is applied was committed, even if the commit index itself was not worth a sync.
        hardState: { ...hardState, commit: Math.max(hardState.commit, machine.appliedIndex) as Index },
        snapshot: { index: start?.index ?? (0 as Index), term: start?.term ?? (0 as Term) },
        entries: contents?.entries ?? [],
        applied: machine.appliedIndex,
        electionTicks: config.electionTicks,
        heartbeatTicks: 1,
        preVote: true,
        checkQuorum: true,
      },
      async close() {
        // The log first: nothing may be promised once the database is gone.
        await log.close().catch(() => undefined);
        await storage.backend.close().catch(() => undefined);
        await lock[Symbol.asyncDispose]();
      },
    };
    return storage;
  } catch (error) {
    await wal?.close().catch(() => undefined);
    await backend?.close().catch(() => undefined);
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}
