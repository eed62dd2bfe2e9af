import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Json } from "../json.ts";
import { FORMATS } from "../formats/detect.ts";
import { MODELS } from "../judge.ts";
import { checkFile } from "./check-file.ts";

interface Known {
  readonly model: string;
  readonly format: string;
  readonly options: { readonly initial?: Json };
  readonly valid: boolean;
}

/** Folders with a verdicts.json. */
function corpora(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "verdicts.json")))
    .map((entry) => join(folder, entry.name));
}

function judged(folder: string): readonly (readonly [string, Known])[] {
  const verdicts = JSON.parse(readFileSync(join(folder, "verdicts.json"), "utf8")) as Record<string, Known>;
  return Object.entries(verdicts).filter(
    ([file, known]) =>
      existsSync(join(folder, file)) &&
      MODELS.includes(known.model) &&
      FORMATS.some((format) => format === known.format),
  );
}

async function check(folder: string, detect: boolean): Promise<number> {
  const files = judged(folder);
  for (const [file, known] of files) {
    const { initial } = known.options;
    const verdict = await checkFile(join(folder, file), {
      model: known.model,
      ...(detect ? {} : { format: known.format }),
      ...(initial === undefined ? {} : { initial }),
      timeLimitMs: 20_000,
    });
    expect([file, verdict.valid, verdict.format, verdict.error]).toEqual([file, known.valid, known.format, undefined]);
  }
  return files.length;
}

describe("histories with known verdicts", () => {
  for (const folder of corpora(join(import.meta.dirname, "../../corpora"))) {
    test(`ours, ${folder.split("/").at(-1) ?? ""}: right with the format named, and with it detected`, async () => {
      expect(await check(folder, false)).toBeGreaterThan(5);
      await check(folder, true);
    });
  }

  test("larger ones, in the folder that SEATRIAL_CORPORA names", async (context) => {
    const folder = process.env["SEATRIAL_CORPORA"];
    if (folder === undefined)
      return context.skip("set SEATRIAL_CORPORA to a folder of corpora with verdicts.json files");
    let count = 0;
    for (const corpus of corpora(folder)) count += await check(corpus, false);
    expect(count).toBeGreaterThan(0);
  });
});
