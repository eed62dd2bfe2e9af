import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const launcher = join(import.meta.dirname, "../bin/seatrial");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seatrial-launcher-"));
  mkdirSync(join(folder, "checkout/bin"), { recursive: true });
  mkdirSync(join(folder, "checkout/cli"));
  cpSync(launcher, join(folder, "checkout/bin/seatrial"));
  writeFileSync(
    join(folder, "checkout/cli/main.ts"),
    "const words: string[] = process.argv.slice(2);\nconsole.log(process.pid, words.join(','));\n",
  );
  // An old Node: it starts, and says it is not suitable.
  mkdirSync(join(folder, "old"));
  writeFileSync(join(folder, "old/node"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function launch(path: string, env: Record<string, string>, ...words: string[]) {
  return spawnSync(path, words, { env, encoding: "utf8" });
}

test("without a suitable Node it says so in one sentence and exits with 2", () => {
  const { status, stdout, stderr } = launch(
    join(folder, "checkout/bin/seatrial"),
    { PATH: `${join(folder, "old")}:/usr/bin:/bin`, SEATRIAL_NODE: join(folder, "old/node") },
    "list",
  );
  // The machine's own Node may be new enough; then there is nothing to refuse.
  if (stdout !== "") return expect(stdout).toContain("list");
  expect(status).toBe(2);
  expect(stderr).toMatch(/^seatrial: no Node\.js 24 or newer found; .*\n$/);
});

test("by its path and through a link, it becomes the program: the pid that was started is Node's", () => {
  symlinkSync("../checkout/bin/seatrial", join(folder, "old/seatrial"));
  for (const path of [join(folder, "checkout/bin/seatrial"), join(folder, "old/seatrial")]) {
    const { pid, stdout, status, stderr } = launch(
      path,
      { PATH: process.env["PATH"] ?? "", SEATRIAL_NODE: process.execPath },
      "a b",
      "c",
    );
    expect(status, stderr).toBe(0);
    expect(stdout.trim()).toBe(`${pid} a b,c`);
  }
});
