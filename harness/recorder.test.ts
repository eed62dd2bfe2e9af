import { expect, test } from "vitest";
import { systemClock } from "../seams/node/clock.ts";
import { Recorder, RecordingFailed } from "./recorder.ts";

function recording() {
  const text: string[] = [];
  const recorder = new Recorder({ write: (line) => void text.push(line) }, systemClock);
  const events = () => text.map((line) => JSON.parse(line) as Record<string, unknown>);
  return { recorder, text, events };
}

test("a line is written by the time invoke returns, and ends with a newline", () => {
  const { recorder, text } = recording();
  recorder.start("etcd", false);
  const op = recorder.invoke(0, "n1", { f: "put" });
  expect(text).toHaveLength(2);
  expect(text.every((line) => line.endsWith("\n") && line.indexOf("\n") === line.length - 1)).toBe(true);
  expect(op).toBe(0);
});

test("operations, processes and streams are numbered once; times do not go back", () => {
  const { recorder, events } = recording();
  expect([recorder.newProcess(), recorder.newProcess()]).toEqual([0, 1]);
  for (let i = 0; i < 20; i++) {
    const op = recorder.invoke(i, "n1", null);
    recorder.complete(op, i, { type: "ok", output: i });
    recorder.message(recorder.open(i, "n1", null), { events: [] });
  }
  const all = events();
  const numbered = (type: string, field: string) =>
    all.filter((event) => event["type"] === type).map((event) => event[field]);
  expect(new Set(numbered("invoke", "op")).size).toBe(20);
  expect(new Set(numbered("open", "stream")).size).toBe(20);
  const times = all.map((event) => Number(event["time"]));
  expect(times).toEqual([...times].sort((a, b) => a - b));
});

test("faults, heals and what happens by itself are in the same file", () => {
  const { recorder, events } = recording();
  recorder.fault(3, "kill", ["n1"]);
  recorder.environment("lease-expired", { id: "7" });
  recorder.heal(3, "kill", ["n1"]);
  recorder.close(0, "broken", { code: "UNAVAILABLE", message: "gone", definite: true });
  expect(events().map((event) => event["type"])).toEqual(["fault", "env", "heal", "close"]);
});

test("after a failed write nothing more is recorded, and the run is told once", () => {
  let room = 1;
  const failures: RecordingFailed[] = [];
  const recorder = new Recorder(
    {
      write: () => {
        if (room-- <= 0) throw new Error("ENOSPC: no space left on device");
      },
    },
    systemClock,
    (error) => failures.push(error),
  );
  recorder.start("etcd", false);
  expect(() => recorder.invoke(0, "n1", null)).toThrow(RecordingFailed);
  room = 10;
  expect(() => recorder.invoke(0, "n1", null)).toThrow(/ENOSPC/);
  expect(failures).toHaveLength(1);
  expect(recorder.failure).toBe(failures[0]);
});
