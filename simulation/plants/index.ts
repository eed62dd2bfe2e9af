import type { Plant } from "../plant.ts";
import { ackBeforeFsync } from "./ack-before-fsync.ts";
import { earlyCommit } from "./early-commit.ts";
import { joinedRound } from "./joined-round.ts";
import { lostAppliedIndex } from "./lost-applied-index.ts";
import { noFsync } from "./no-fsync.ts";
import { oldVotes } from "./old-votes.ts";
import { skipReadIndex } from "./skip-read-index.ts";
import { skippedEvent } from "./skipped-event.ts";

/** Every planted bug, by name. */
export const plants: readonly Plant[] = [
  ackBeforeFsync,
  noFsync,
  oldVotes,
  skipReadIndex,
  joinedRound,
  lostAppliedIndex,
  earlyCommit,
  skippedEvent,
];
