import { describe, expect, test } from "vitest";
import { MalformedHistory } from "../fold.ts";
import { readEdn } from "./edn.ts";
import { detectFormat, parseHistory } from "./detect.ts";

const values = (text: string) => [...readEdn(text)].map((form) => form.value);

describe("EDN", () => {
  test("reads every kind of value, comments and discards", () => {
    expect(values('; c\n{:a 1, :b nil, "s" [true -2.5 "x\\ny"]} #_{:no 1} {:k #{1 2} :t #inst "2020" 3 \\a}')).toEqual([
      { a: 1, b: null, s: [true, -2.5, "x\ny"] },
      { k: [1, 2], t: "2020", "3": "a" },
    ]);
  });
  test("one vector, one list and one map a line are the same history", () => {
    expect(values("[{:a 1} {:a 2}]")).toEqual(values("({:a 1}\n{:a 2})"));
    expect(values("[{:a 1} {:a 2}]")).toEqual(values("{:a 1}\n{:a 2}\n"));
  });
  test("names the line of what is wrong", () => {
    expect(() => values("[{:a 1}\n {:a]")).toThrow(/line 2: .*closes nothing/);
    expect(() => values("[{:a 1}\n\n")).toThrow(/line 3: the text ends.*line 1 is not closed/);
    expect(() => values("[1] [2]")).toThrow(/text after the end/);
  });
});

describe("Jepsen's maps", () => {
  const model = "cas-register";
  test("failed operations and reads of nil assert nothing; the nemesis is skipped; the open stay in doubt", () => {
    const { history, format } = parseHistory(
      `[{:process 0, :type :invoke, :f :read, :value nil} {:process :nemesis, :type :info, :f :kill, :value nil}
        {:process 0, :type :ok, :f :read, :value nil} {:process 1 :type :invoke :f :cas :value [1 2]} {:process 1 :type :fail :f :cas :value [1 2]}
        {:process 2 :type :invoke :f :write :value 3}]`,
      { model },
    );
    expect(format).toBe("edn");
    expect(history.operations.map(({ outcome, output }) => [outcome, output])).toEqual([
      ["ok", undefined],
      ["fail", undefined],
      ["info", undefined],
    ]);
  });
  test("an end without a beginning is named", () => {
    expect(() => parseHistory("[\n{:process 3 :type :ok :f :read :value 1}]", { model })).toThrow(
      "line 2: process 3 ends a read (ok) that it has not begun; its invoke must come first",
    );
  });
  test("an operation that the model has not is named", () => {
    expect(() => parseHistory("{:process 3 :type :invoke :f :cas :value 1}", { model })).toThrow(
      /line 1: :cas with value 1 is not an operation of cas-register; \[old new\] is needed/,
    );
  });
  test("the model is told from the operations", () => {
    expect(parseHistory("{:process 3 :type :invoke :f :cas :value [1 2]}").history.model).toBe(model);
    expect(() => parseHistory("{:process 3 :type :invoke :f :dance :value 1}")).toThrow(
      /the model cannot be told from the operations \(dance\); name it/,
    );
  });
});

describe("Jepsen's log", () => {
  const log = (text: string) => parseHistory(text).history.operations.map(({ outcome, output }) => [outcome, output]);
  test("a failed swap and a read of nil are observations, a read that timed out is none", () => {
    const text = [
      "0\t:invoke\t:read\tnil",
      "0\t:ok\t:read\tnil",
      "1   :invoke   :cas   [1 0]",
      "1 :fail :cas [1 0]",
      "2 :invoke :read nil",
      "2 :fail :read :timed-out",
      "3 :invoke :write 4",
      "3 :info :write :timed-out",
    ]
      .map((line) => `INFO  jepsen.util - ${line}\n`)
      .join("");
    expect(log(text)).toEqual([
      ["ok", null],
      ["ok", false],
      ["fail", undefined],
      ["info", undefined],
    ]);
  });
  test("another line is named", () => {
    expect(() => log("INFO  jepsen.util - 0 :invoke :read nil\nhello\n")).toThrow(/line 2: "hello" is not a log line/);
  });
});

describe("Porcupine's kv and Elle's JSON", () => {
  test("a get of nil saw the empty string", () => {
    const { history, format } = parseHistory(
      '{:process 0, :type :invoke, :f :get, :key "1", :value nil}\n{:process 0, :type :ok, :f :get, :key "1", :value nil}\n',
    );
    expect([format, history.operations[0]?.output]).toEqual(["porcupine-kv", ""]);
  });
  test("without f it is a transaction", () => {
    const { history } = parseHistory(
      '[{"process":0,"type":"invoke","value":[["r","x",null]]},{"process":0,"type":"ok","value":[["r","x",1]]}]',
      { model: "multi-register" },
    );
    expect(history.operations[0]).toMatchObject({
      input: { f: "txn", steps: [["read", "x", null]] },
      output: [["read", "x", 1]],
    });
  });
  test("what is no JSON says so", () => {
    expect(() => parseHistory("[{", { format: "elle-json", model: "cas-register" })).toThrow(
      /elle-json is one array of operations/,
    );
  });
});

describe("detection", () => {
  test.each([
    ['{"type":"start"}', "jsonl"],
    ["; hello\n[{:process 1}]", "edn"],
    ["({:process 1})", "edn"],
    ['[{"process":1}]', "elle-json"],
    ["INFO  jepsen.util - 1 :invoke :read nil", "jepsen-log"],
    ['{:process 1, :f :get, :key "a"}', "porcupine-kv"],
  ])("%j", (text, format) => {
    expect(detectFormat(text)).toBe(format);
  });
  test("gives up with a sentence", () => {
    expect(() => detectFormat("hello")).toThrow(MalformedHistory);
    expect(() => parseHistory("x", { format: "xml" })).toThrow(/format xml is not known; one of jsonl, edn/);
  });
});
