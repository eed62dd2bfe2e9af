import { describe, expect, test } from "vitest";
import { foldHistory, parseHistoryLines } from "./fold.ts";
import { judge } from "./judge.ts";

const start = '{"type":"start","format":1,"model":"register","foreignWriters":false}';
const invoke = '{"type":"invoke","op":0,"process":1,"node":"n1","time":5,"input":{"f":"read"}}';
const ok = '{"type":"ok","op":0,"process":1,"time":9,"output":null}';

describe("folding", () => {
  test("pairs calls with their ends; what never ended is in doubt", () => {
    const history = parseHistoryLines([
      start,
      invoke,
      invoke.replace('"op":0', '"op":1'),
      ok,
      '{"type":"env","time":3,"what":"compaction"}',
      '{"type":"fault","time":3,"fault":"kill","on":["n1"],"id":1}',
      "",
    ]);
    expect(history.operations).toEqual([
      { op: 0, process: 1, node: "n1", input: { f: "read" }, outcome: "ok", invoked: 5, returned: 9, output: null },
      { op: 1, process: 1, node: "n1", input: { f: "read" }, outcome: "info", invoked: 5 },
    ]);
    expect([history.environment.length, history.faults.length]).toEqual([1, 1]);
  });
  test("streams keep their messages and why they ended", () => {
    const lines = [
      '{"type":"open","stream":4,"process":1,"time":1,"input":{"f":"watch","key":"a"}}',
      '{"type":"message","stream":4,"time":2,"message":{"revision":1,"events":[]}}',
      '{"type":"close","stream":4,"time":3,"reason":"broken"}',
    ];
    expect(parseHistoryLines([start, ...lines]).streams).toEqual([
      {
        stream: 4,
        process: 1,
        input: { f: "watch", key: "a" },
        opened: 1,
        closed: 3,
        closeReason: "broken",
        messages: [{ time: 2, message: { revision: 1, events: [] } }],
      },
    ]);
  });
  test("a torn last line is dropped", () => {
    expect(parseHistoryLines([start, invoke, '{"type":"ok","op":0,"pro']).operations[0]?.outcome).toBe("info");
  });
  test.each([
    [[start, '{"type":"ok"', invoke], "line 2: not a JSON object"],
    [['{"type":"ok"'], "line 1: not a JSON object"],
    [[start, "[1]"], "line 2: not a JSON object; each line of a history is one event"],
    [[start, '{"type":"begin"}'], 'line 2: event type "begin" is not known'],
    [[start, invoke.replace("5", '"5"')], 'line 2: invoke event with time "5"; a number is needed there'],
    [[start, ok], "line 2: operation 0 ends with ok but was never invoked"],
    [[start, invoke, invoke], "line 3: operation 0 is invoked twice"],
    [[start, invoke, ok, ok], "line 4: operation 0 ends twice"],
    [[start, invoke, ok.replace("9", "1")], "line 3: operation 0 ends at 1, before its invocation at 5"],
    [
      [start, '{"type":"message","stream":4,"time":2,"message":{}}'],
      "line 2: stream 4 has a message but was never opened",
    ],
    [[start, start], "line 2: a second start event"],
    [[start.replace('"format":1', '"format":9')], "line 1: history format 9 is not known; this reader knows 1"],
    [[invoke], "no start event"],
  ])("%j: %s", (lines, message) => {
    expect(() => parseHistoryLines(lines)).toThrow(message);
  });
  test("events that were never written fold the same", () => {
    expect(foldHistory([{ type: "start", format: 1, model: "register", foreignWriters: false }]).operations).toEqual(
      [],
    );
  });
});

describe("judging by name", () => {
  test("an unknown model, and an operation that is not the model's, are named", () => {
    const history = parseHistoryLines([start, invoke, ok]);
    expect(() => judge({ ...history, model: "toString" })).toThrow(/model "toString" is not known; one of register/);
    expect(() => judge({ ...history, model: "kv" })).toThrow(
      /operation 0 has f "read", but the model is kv; it needs one of get key/,
    );
    expect(judge(history)[0]?.valid).toBe(true);
  });
});
