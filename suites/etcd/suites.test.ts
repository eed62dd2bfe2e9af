import type { EtcdInput, EtcdOutput, WatchInput, WatchMessage } from "knossos-ts";
import { expect, test } from "vitest";
import type { RecordingSession, SessionOutcome, Suite, WorkloadContext } from "../../harness/suite.ts";
import { systemClock } from "../../seams/node/clock.ts";
import { seededRandom } from "../../seams/random.ts";
import { defaultSuites, suiteCatalogue } from "../index.ts";
import { kv } from "./kv.ts";
import { lock } from "./lock.ts";
import { watchCompacted } from "./watch-compacted.ts";
import { watch } from "./watch.ts";

interface Script {
  readonly answer?: (input: EtcdInput) => EtcdOutput | undefined;
  readonly stream?: (input: WatchInput, count: number) => Iterable<WatchMessage>;
}

/** A context whose sessions answer from a script; what they were asked is kept. It stops after `most` operations or streams. */
function scripted(script: Script, most = 200) {
  const inputs: EtcdInput[] = [];
  const watches: { readonly node: string; readonly input: WatchInput }[] = [];
  const stop = new AbortController();
  const count = () => {
    if (inputs.length + watches.length >= most) stop.abort();
  };
  const session = (first: string): RecordingSession => {
    let node = first;
    return {
      get node() {
        return node;
      },
      async invoke(input): Promise<SessionOutcome> {
        inputs.push(input);
        count();
        const output = script.answer?.(input);
        return output === undefined ? { type: "info", code: "UNAVAILABLE", message: "gone" } : { type: "ok", output };
      },
      watch(input) {
        watches.push({ node, input });
        count();
        const stream = watches.length - 1;
        const messages = script.stream?.(input, stream) ?? [];
        return {
          stream,
          messages: (async function* () {
            yield* messages;
          })(),
        };
      },
      moveTo: async (next) => void (node = next),
      [Symbol.asyncDispose]: async () => {},
    };
  };
  // No test waits: a pause is over at once.
  const clock = { ...systemClock, sleep: async () => {} };
  const context: WorkloadContext = {
    clock,
    random: seededRandom(1),
    signal: stop.signal,
    nodes: ["n1", "n2", "n3"],
    session,
    pace: async () => ({ intendedNs: 0 }),
  };
  return { context, inputs, watches };
}

const put = (revision: number): EtcdOutput => ({ f: "put", revision });
const event = (key: string, revision: number) =>
  ({ type: "put", kv: { key, value: "v", createRevision: revision, modRevision: revision, version: 1 } }) as const;

test("the catalogue: unique names, a guarantee and a planted bug for each suite", () => {
  expect(new Set(suiteCatalogue.map((suite) => suite.name)).size).toBe(suiteCatalogue.length);
  for (const suite of suiteCatalogue) {
    expect(suite.guarantee).toMatch(/\.$/);
    expect(suite.planted.length).toBeGreaterThan(0);
  }
  expect(defaultSuites.every((name) => suiteCatalogue.some((suite) => suite.name === name))).toBe(true);
});

test("a watcher that breaks off resumes on another member, right after the last revision it was told", async () => {
  const { context, watches } = scripted(
    {
      stream: (_input, count) => [
        { revision: 10 * count, created: true, events: [] },
        { revision: 10 * count + 5, events: [event("watch/0", 10 * count + 5)] },
      ],
    },
    4,
  );
  await watch.work(context, 1);
  expect(watches[0]?.input.resumes).toBeUndefined();
  expect(watches[1]?.input).toMatchObject({ resumes: 0, startRevision: 6 });
  expect(watches[2]?.input).toMatchObject({ resumes: 1, startRevision: 16 });
  expect(watches[1]?.node).not.toBe(watches[0]?.node);
});

test("a watcher that saw nothing but its creation goes on after that revision; a progress answer moves it", async () => {
  const { context, watches } = scripted(
    {
      stream: (_input, count) =>
        count === 0 ? [{ revision: 7, created: true, events: [] }] : [{ revision: 20, progress: true, events: [] }],
    },
    4,
  );
  await watch.work(context, 2);
  expect(watches[1]?.input.startRevision).toBe(8);
  expect(watches[2]?.input.startRevision).toBe(21);
});

test("after a compaction a watcher begins anew, as one with a gap", async () => {
  const { context, watches } = scripted(
    {
      stream: (_input, count) =>
        count === 0 ? [{ revision: 50, canceled: true, compactRevision: 40, events: [] }] : [],
    },
    3,
  );
  await watch.work(context, 3);
  expect(watches[1]?.input).toMatchObject({ startRevision: 41 });
  expect(watches[1]?.input.resumes).toBeUndefined();
});

test("a fragment does not move a watcher on: the rest of the revision is still to come", async () => {
  const { context, watches } = scripted(
    {
      stream: (_input, count) =>
        count === 0
          ? [
              { revision: 3, created: true, events: [] },
              { revision: 9, fragment: true, events: [event("watch/0", 9)] },
            ]
          : [],
    },
    3,
  );
  await watch.work(context, 1);
  expect(watches[1]?.input.startRevision).toBe(4);
});

test("the last reads of the watches begin at the first revision that is left", async () => {
  const { context, watches } = scripted({
    answer: () => put(100),
    stream: (input) =>
      input.startRevision === 1
        ? [{ revision: 100, canceled: true, compactRevision: 60, events: [] }]
        : [{ revision: 100, events: [event("watch/end", 100)] }],
  });
  await watch.finish?.(context);
  expect(watches.map(({ node, input }) => [node, input.startRevision])).toEqual([
    ["n1", 1],
    ["n1", 61],
    ["n2", 1],
    ["n2", 61],
    ["n3", 1],
    ["n3", 61],
  ]);
});

test("a watch begins at the very revision that was compacted at, or where somebody else compacted since", async () => {
  let revision = 10;
  const { context, inputs, watches } = scripted(
    {
      answer: (input) => ("revision" in input ? undefined : put(++revision)),
      stream: (input) =>
        (input.startRevision ?? 0) < 90
          ? [{ revision: 0, canceled: true, compactRevision: 90, events: [] }]
          : [{ revision: 95, events: [event("watch-compacted/0/b", 95)] }],
    },
    8,
  );
  await watchCompacted.work(context, 0);
  const compacted = inputs.flatMap((input) => (input.f === "compact" ? [input] : []));
  expect(compacted[0]).toEqual({ f: "compact", revision: 12, physical: true });
  expect(watches.slice(0, 2).map(({ input }) => input.startRevision)).toEqual([12, 90]);
});

test("the lock's fence: every guarded write compares the token that was handed out, and carries it", async () => {
  let revision = 1;
  const { context, inputs } = scripted({
    answer: (input) => {
      if (input.f === "lease-grant") return { f: "lease-grant", revision, id: input.id, ttlSeconds: 2 };
      if (input.f === "txn") return { f: "txn", revision: ++revision, succeeded: true, answers: [] };
      return input.f === "lease-revoke" ? { f: "lease-revoke", revision } : undefined;
    },
  });
  await lock.work(context, 0);
  const writes = inputs.flatMap((input) => {
    const [compare, success] = input.f === "txn" ? [input.compare[0], input.success[0]] : [];
    return success?.f === "put" && success.key === "lock/resource"
      ? [{ operand: compare?.operand, value: success.value }]
      : [];
  });
  expect(writes.length).toBeGreaterThan(10);
  for (const { operand, value } of writes) expect(value.startsWith(`${operand}:`)).toBe(true);
});

test.for(suiteCatalogue.map((suite): [string, Suite] => [suite.name, suite]))(
  "%s: a cluster that answers nothing stops no worker, and no worker outlives the load",
  async ([, suite]) => {
    for (let worker = 0; worker < suite.clients; worker++) {
      const { context, inputs, watches } = scripted({}, 30);
      await suite.work(context, worker);
      expect(inputs.length + watches.length).toBeGreaterThanOrEqual(30);
    }
  },
);

test("values are written once in a run, so that a read says which write it saw", async () => {
  const values: string[] = [];
  for (let worker = 0; worker < kv.clients; worker++) {
    const { context, inputs } = scripted({ answer: () => put(1) }, 300);
    await kv.work({ ...context, random: seededRandom(worker) }, worker);
    for (const input of inputs) if (input.f === "put") values.push(input.value);
  }
  expect(new Set(values).size).toBe(values.length);
});
