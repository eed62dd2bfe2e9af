import type { Backend, BackendFactory } from "../reference/mvcc/backend.ts";
import type { StateMachine } from "../reference/apply/types.ts";
import type { PureRules, RaftConfig, RaftCore } from "../reference/raft/types.ts";
import type { Disk } from "../seams/disk.ts";

/** A bug put into every member from outside: each part stands before a seam, a core or a pure rule. The product knows of none. */
export interface Plant {
  readonly name: string;
  /** One sentence: what is wrong in a store that has it. */
  readonly summary: string;
  readonly rules?: Partial<PureRules>;
  readonly disk?: (disk: Disk) => Disk;
  readonly backend?: (factory: BackendFactory) => BackendFactory;
  readonly makeRaft?: (config: RaftConfig) => RaftCore;
  readonly makeStateMachine?: (backend: Backend) => StateMachine;
}
