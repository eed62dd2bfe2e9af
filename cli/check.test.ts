import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CheckCommandOptions } from "./check.ts";
import { checkCommand } from "./check.ts";

const start = '{"type":"start","format":1,"model":"cas-register","foreignWriters":false}\n';
const written =
  '{"type":"invoke","op":0,"process":0,"time":1,"input":{"f":"write","value":1}}\n{"type":"ok","op":0,"process":0,"time":2,"output":null}\n';
const readOf = (value: number) =>
  `{"type":"invoke","op":1,"process":0,"time":3,"input":{"f":"read"}}\n{"type":"ok","op":1,"process":0,"time":4,"output":${value}}\n`;

let directory = "";
const out: string[] = [];
const errors: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "seatrial-check-"));
  writeFileSync(join(directory, "good.jsonl"), start + written + readOf(1));
  writeFileSync(join(directory, "history.jsonl"), start + written + readOf(1));
  writeFileSync(join(directory, "bad.jsonl"), start + written + readOf(2));
  writeFileSync(join(directory, "nothing.jsonl"), start);
  writeFileSync(join(directory, "malformed.jsonl"), `${start}{"type":"ok"}\n${written}`);
  writeFileSync(join(directory, "empty"), "");
  vi.spyOn(process.stdout, "write").mockImplementation((text) => out.push(String(text)) > 0);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => errors.push(String(text)) > 0);
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
  out.length = 0;
  errors.length = 0;
});

const check = (names: readonly string[], options: CheckCommandOptions = {}) =>
  checkCommand(
    names.map((name) => (name === "" ? directory : join(directory, name))),
    options,
  );

describe("check", () => {
  test.each<[readonly string[], number]>([
    [["good.jsonl"], 0],
    [[""], 0],
    [["good.jsonl", "bad.jsonl", "none", "nothing.jsonl"], 1],
    [["good.jsonl", "none", "nothing.jsonl"], 2],
    [["good.jsonl", "nothing.jsonl"], 3],
    [["empty"], 2],
  ])("%j exits with %i", async (names, code) => {
    expect(await check(names)).toBe(code);
  });

  test("--json prints one object a file, the file as it was given", async () => {
    expect(await check(["good.jsonl", "bad.jsonl", "malformed.jsonl"], { json: true })).toBe(1);
    const lines = out
      .join("")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toMatchObject([
      { file: join(directory, "good.jsonl"), valid: true, model: "cas-register", format: "jsonl", operations: 2 },
      { file: join(directory, "bad.jsonl"), valid: false, counterexample: { kind: "counterexample", prefix: [0] } },
      {
        file: join(directory, "malformed.jsonl"),
        valid: null,
        error: "line 2: ok event with op absent; a number is needed there",
      },
    ]);
    expect(errors).toEqual([]);
  });

  test("tells a person what is wrong, and where", async () => {
    await check(["bad.jsonl"]);
    expect(out.join("")).toContain("NOT VALID (cas-register, 2 operations");
    expect(out.join("")).toContain("operation 1: read 2 is impossible in 1");
  });

  test.each<[CheckCommandOptions, string]>([
    [{ model: "tree" }, "model tree is not known; one of register"],
    [{ format: "xml" }, "format xml is not known; one of jsonl"],
    [{ initial: "{" }, "--initial { is not JSON"],
    [{ timeLimit: "soon" }, "--time-limit soon is not a duration"],
  ])("%j is refused with a sentence", async (options, sentence) => {
    expect(await check(["good.jsonl"], options)).toBe(2);
    expect(errors.join("")).toContain(sentence);
    expect(out).toEqual([]);
  });

  test("no files are refused", async () => {
    expect(await checkCommand([], {})).toBe(2);
  });
});
