import type { WatchInput } from "knossos-ts";
import type { RecordingSession, WorkloadContext } from "../../harness/suite.ts";

const LAST_EVENTS_MS = 5_000;

/**
 * Watches from the input's start revision until the change at revision `end` is told, or a few seconds are over.
 * Resolves to the compacted revision if that start was refused because of a later compaction.
 */
export async function readUpTo(
  context: WorkloadContext,
  session: RecordingSession,
  input: WatchInput & { readonly startRevision: number },
  end: number,
): Promise<number | undefined> {
  const over = new AbortController();
  const timer = new AbortController();
  context.clock.sleep(LAST_EVENTS_MS, timer.signal).then(
    () => over.abort(),
    () => undefined,
  );
  try {
    const { messages } = session.watch(input, AbortSignal.any([context.signal, over.signal]));
    for await (const { compactRevision = 0, events } of messages) {
      if (compactRevision > input.startRevision) return compactRevision;
      if ((events.at(-1)?.kv.modRevision ?? 0) >= end) return undefined;
    }
    return undefined;
  } finally {
    timer.abort();
  }
}
