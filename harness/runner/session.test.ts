import { expect, test } from "vitest";
import type { EtcdInput, EtcdOutput, WatchMessage } from "knossos-ts";
import { systemClock } from "../../seams/node/clock.ts";
import { type Outcome, StreamBroken } from "../client.ts";
import type { LatencySample } from "../load/latency.ts";
import { Recorder } from "../recorder.ts";
import type { EtcdClient } from "../suite.ts";
import { fakeClient } from "./fakes.ts";
import { kindOf, Session } from "./session.ts";

const PUT: EtcdInput = { f: "put", key: "k", value: "v" };
const done: Outcome<EtcdOutput> = { type: "ok", output: { f: "put", revision: 2 } };
const doubt: Outcome<EtcdOutput> = { type: "info", error: { code: "UNAVAILABLE", message: "reset", definite: false } };

type Event = Record<string, unknown>;

function sessionOf(connect: (events: readonly Event[]) => EtcdClient) {
  const events: Event[] = [];
  const samples: LatencySample[] = [];
  const recorder = new Recorder({ write: (line) => void events.push(JSON.parse(line) as Event) }, systemClock);
  const session = new Session(
    {
      suite: "s",
      recorder,
      clock: systemClock,
      connect: () => connect(events),
      observe: (sample) => samples.push(sample),
    },
    "n1",
  );
  return { session, events, samples, recorder };
}

test("the invocation is in the history before the request leaves", async () => {
  let seen: readonly unknown[] = [];
  const { session, events } = sessionOf((written) =>
    fakeClient(async () => ((seen = written.map((event) => event["type"])), done)),
  );
  await session.invoke(PUT);
  expect(seen).toEqual(["invoke"]);
  expect(events.map((event) => event["type"])).toEqual(["invoke", "ok"]);
});

test("after an operation in doubt the process id is never used again", async () => {
  const answers = [done, doubt, done];
  const { session, events } = sessionOf(() => fakeClient(async () => answers.shift() ?? done));
  for (let i = 0; i < 3; i++) await session.invoke(PUT);
  const processes = events.filter((event) => event["type"] === "invoke").map((event) => event["process"]);
  expect(processes).toEqual([0, 0, 1]);
});

test("the deadline reaches the client as a TimeoutError, and latency counts from the intended start", async () => {
  let reason: unknown;
  const { session, samples, recorder } = sessionOf(() =>
    fakeClient(
      (_input, signal) =>
        new Promise((resolve) => signal.addEventListener("abort", () => ((reason = signal.reason), resolve(doubt)))),
    ),
  );
  const intendedNs = recorder.nowNs() - 5e9;
  await session.invoke(PUT, { timeoutMs: 10, intendedNs });
  expect((reason as Error).name).toBe("TimeoutError");
  expect((samples[0]?.returnedNs ?? 0) - (samples[0]?.intendedNs ?? 0)).toBeGreaterThan(5e9);
  expect(samples[0]).toMatchObject({ suite: "s", kind: "put", outcome: "info" });
});

const message = (revision: number): WatchMessage => ({ revision, events: [] });

test("a watch is recorded from open to the break that ends it", async () => {
  const client: EtcdClient = {
    ...fakeClient(async () => done),
    async *open() {
      yield message(5);
      throw new StreamBroken({ code: "UNAVAILABLE", message: "reset", definite: true });
    },
  };
  const { session, events } = sessionOf(() => client);
  const got: number[] = [];
  for await (const one of session.watch({ f: "watch", key: "k" }, new AbortController().signal).messages)
    got.push(one.revision);
  expect(got).toEqual([5]);
  expect(events.map((event) => event["type"])).toEqual(["open", "message", "close"]);
  expect(events.at(-1)).toMatchObject({ reason: "broken", error: { code: "UNAVAILABLE" } });
});

test("leaving the loop closes the stream once, as cancelled", async () => {
  const client: EtcdClient = {
    ...fakeClient(async () => done),
    async *open() {
      for (let revision = 1; ; revision++) yield message(revision);
    },
  };
  const { session, events } = sessionOf(() => client);
  for await (const one of session.watch({ f: "watch", key: "k" }, new AbortController().signal).messages)
    if (one.revision === 3) break;
  expect(events.filter((event) => event["type"] === "close")).toMatchObject([{ reason: "cancelled" }]);
});

test("what differs in cost has a kind of its own", () => {
  expect(kindOf({ f: "range", key: "k" })).toBe("range");
  expect(kindOf({ f: "range", key: "k", serializable: true })).toBe("range-serializable");
  expect(kindOf({ f: "range", key: "k", revision: 3 })).toBe("range-revision");
});
