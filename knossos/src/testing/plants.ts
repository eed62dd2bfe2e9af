import type { History, Operation, Stream } from "../history.ts";
import type { EtcdInput, EtcdKv, EtcdOutput, WatchMessage } from "../models/etcd-types.ts";
import type { NaiveStore } from "./naive-store.ts";
import type { Rng } from "./random.ts";

type Run = History<EtcdInput, EtcdOutput> & { readonly store: NaiveStore };
type EtcdOperation = Operation<EtcdInput, EtcdOutput>;

/** Makes a true history false in one way; undefined where it has no place for that. */
export type HistoryPlant = (run: Run, rng: Rng) => History<EtcdInput, EtcdOutput> | undefined;

function replace(run: Run, victim: EtcdOperation, output: EtcdOutput): Run {
  return {
    ...run,
    operations: run.operations.map((operation) => (operation === victim ? { ...operation, output } : operation)),
  };
}

/** Acknowledged puts (outside of txns) by their revision. */
function putsByRevision(run: Run): ReadonlyMap<number, EtcdOperation> {
  const found = new Map<number, EtcdOperation>();
  for (const operation of run.operations)
    if (operation.outcome === "ok" && operation.output?.f === "put")
      found.set(operation.output.revision ?? 0, operation);
  return found;
}

/** Plain linearizable reads of one key that was there. */
function reads(run: Run): readonly (EtcdOperation & {
  readonly output: {
    readonly f: "range";
    readonly revision: number;
    readonly kvs: readonly EtcdKv[];
    readonly count: number;
    readonly more: boolean;
  };
})[] {
  return run.operations.filter((operation) => {
    const { input, output } = operation;
    return (
      operation.outcome === "ok" &&
      input.f === "range" &&
      output?.f === "range" &&
      input.rangeEnd === undefined &&
      input.serializable !== true &&
      input.revision === undefined &&
      output.kvs.length === 1
    );
  }) as never;
}

function pickOne<T>(items: readonly T[], rng: Rng): T | undefined {
  return items.length === 0 ? undefined : rng.pick(items);
}

/** The value before the last one, under the header of now. */
const staleRead: HistoryPlant = (run, rng) => {
  const puts = putsByRevision(run);
  const victim = pickOne(
    reads(run).filter(
      ({ output }) => puts.has((output.kvs[0] as EtcdKv).modRevision) && (output.kvs[0] as EtcdKv).version > 1,
    ),
    rng,
  );
  if (victim === undefined) return undefined;
  const kv = victim.output.kvs[0] as EtcdKv;
  const before = run.store.at(kv.modRevision - 1).get(kv.key) as EtcdKv;
  return replace(run, victim, { ...victim.output, kvs: [before] });
};

/** All of the answer, header too, from a revision that real time has passed. */
const revisionGoesBack: HistoryPlant = (run, rng) => {
  const done = (at: number): number =>
    Math.max(
      1,
      ...run.operations
        .filter(
          (o) =>
            o.outcome === "ok" &&
            (o.returned ?? 0) < at &&
            o.input.f !== "lease-keepalive" &&
            o.input.f !== "lease-time-to-live" &&
            !(o.input.f === "range" && o.input.serializable === true),
        )
        .map((o) => o.output?.revision ?? 0),
    );
  const victim = pickOne(
    reads(run).filter((read) => done(read.invoked) > 1),
    rng,
  );
  if (victim === undefined) return undefined;
  const revision = done(victim.invoked) - 1;
  const kv = run.store.at(revision).get((victim.input as { readonly key: string }).key);
  return replace(run, victim, {
    f: "range",
    revision,
    kvs: kv === undefined ? [] : [kv],
    count: kv === undefined ? 0 : 1,
    more: false,
  });
};

const duplicatedRevision: HistoryPlant = (run, rng) => {
  const puts = [...putsByRevision(run).values()];
  const victim = pickOne(puts, rng);
  const other = pickOne(
    puts.filter((put) => put !== victim),
    rng,
  );
  if (victim === undefined || other === undefined) return undefined;
  return replace(run, victim, {
    ...(victim.output as EtcdOutput),
    revision: other.output?.revision ?? 0,
  });
};

/** An acknowledged put is not there when it is read next. */
const lostWrite: HistoryPlant = (run, rng) => {
  const puts = putsByRevision(run);
  const victim = pickOne(
    reads(run).filter(
      ({ output }) => puts.has((output.kvs[0] as EtcdKv).modRevision) && (output.kvs[0] as EtcdKv).version === 1,
    ),
    rng,
  );
  return victim === undefined ? undefined : replace(run, victim, { ...victim.output, kvs: [], count: 0 });
};

interface Told {
  readonly stream: number;
  readonly message: number;
}

function messagesOf(stream: Stream): readonly { readonly time: number; readonly message: WatchMessage }[] {
  return stream.messages as unknown as readonly { readonly time: number; readonly message: WatchMessage }[];
}

/** Places in the streams that fit. */
function places(run: Run, fits: (message: WatchMessage, told: Told) => boolean): readonly Told[] {
  return run.streams.flatMap((stream, at) =>
    messagesOf(stream).flatMap(({ message }, index) =>
      fits(message, { stream: at, message: index }) ? [{ stream: at, message: index }] : [],
    ),
  );
}

function rewrite(
  run: Run,
  told: Told,
  change: (
    messages: readonly { readonly time: number; readonly message: WatchMessage }[],
  ) => readonly { readonly time: number; readonly message: WatchMessage }[],
): Run {
  return {
    ...run,
    streams: run.streams.map((stream, at) =>
      at === told.stream ? { ...stream, messages: change(messagesOf(stream)) as never } : stream,
    ),
  };
}

/** One event less, with more after it. */
const swallowedEvent: HistoryPlant = (run, rng) => {
  const puts = putsByRevision(run);
  const told = pickOne(
    places(run, (message) => message.events.length > 1 && puts.has(message.events[0]?.kv.modRevision ?? 0)),
    rng,
  );
  if (told === undefined) return undefined;
  return rewrite(run, told, (messages) =>
    messages.map((one, index) =>
      index === told.message ? { ...one, message: { ...one.message, events: one.message.events.slice(1) } } : one,
    ),
  );
};

const reorderedEvent: HistoryPlant = (run, rng) => {
  const told = pickOne(
    places(run, (message) => new Set(message.events.map((event) => event.kv.modRevision)).size > 1),
    rng,
  );
  if (told === undefined) return undefined;
  return rewrite(run, told, (messages) =>
    messages.map((one, index) =>
      index === told.message ? { ...one, message: { ...one.message, events: [...one.message.events].reverse() } } : one,
    ),
  );
};

const splitRevision: HistoryPlant = (run, rng) => {
  const last = (message: WatchMessage): number => message.events.length - 1;
  const told = pickOne(
    places(
      run,
      (message) =>
        message.events.length > 1 &&
        message.events[last(message)]?.kv.modRevision === message.events[last(message) - 1]?.kv.modRevision,
    ),
    rng,
  );
  if (told === undefined) return undefined;
  return rewrite(run, told, (messages) =>
    messages.flatMap((one, index) =>
      index === told.message
        ? [
            { ...one, message: { ...one.message, events: one.message.events.slice(0, -1) } },
            { ...one, message: { ...one.message, events: one.message.events.slice(-1) } },
          ]
        : [one],
    ),
  );
};

const wrongPrevKv: HistoryPlant = (run, rng) => {
  const puts = putsByRevision(run);
  const told = pickOne(
    places(run, (message) => puts.has(message.events[0]?.prevKv?.modRevision ?? -1)),
    rng,
  );
  if (told === undefined) return undefined;
  return rewrite(run, told, (messages) =>
    messages.map((one, index) => {
      const [first, ...rest] = one.message.events;
      if (index !== told.message || first?.prevKv === undefined) return one;
      return {
        ...one,
        message: {
          ...one.message,
          events: [{ ...first, prevKv: { ...first.prevKv, value: "never written" } }, ...rest],
        },
      };
    }),
  );
};

export const HISTORY_PLANTS: Readonly<Record<string, HistoryPlant>> = {
  "stale read": staleRead,
  "revision that goes back": revisionGoesBack,
  "duplicated revision": duplicatedRevision,
  "lost write": lostWrite,
  "swallowed watch event": swallowedEvent,
  "reordered watch event": reorderedEvent,
  "split revision": splitRevision,
  "wrong prev_kv": wrongPrevKv,
};
