import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { html } from "./html/page.ts";
import { sampleRun } from "./sample-run.ts";

const executablePath = process.env["SEATRIAL_CHROMIUM"] ?? onPath("chromium");
let browser: Browser | undefined;
let folder = "";

function onPath(name: string): string | undefined {
  try {
    return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seatrial-page-"));
  if (executablePath !== undefined) {
    browser = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
    });
  }
});

afterAll(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(context: { skip(note?: string): never }, valid: boolean, colorScheme: "light" | "dark") {
  if (browser === undefined)
    return context.skip("no Chromium on PATH: apt-get install chromium, or set SEATRIAL_CHROMIUM");
  const { run, history } = sampleRun(valid);
  const [artifact] = html(run, history);
  const file = join(folder, `${valid}-${colorScheme}.html`);
  await writeFile(file, artifact?.content ?? "");
  const page: Page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 900 } });
  const troubles: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
  page.on("pageerror", (error) => troubles.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
  return {
    page,
    troubles,
    requests: requests.filter((url) => url !== pathToFileURL(file).href && !url.startsWith("data:")),
  };
}

test("a violated run shows its counterexample, draws the timeline, logs no error and asks for nothing", async (context) => {
  const { page, troubles, requests } = await open(context, false, "light");
  expect(await page.textContent(".verdict .word")).toBe("VIOLATED");
  const body = await page.innerText("body");
  expect(body).toContain("it read v6");
  expect(body).toContain("<script>alert(1)</script>");
  expect(body).toContain("seatrial run etcd/kv --seed 42");
  expect(await page.locator("figure svg").count()).toBe(2);
  const ink = await page.evaluate(() => {
    const canvas = (
      globalThis as unknown as {
        document: {
          querySelector(s: string): {
            width: number;
            height: number;
            getContext(k: "2d"): { getImageData(...a: number[]): { data: Uint8ClampedArray } };
          };
        };
      }
    ).document.querySelector("#timeline canvas");
    return canvas
      .getContext("2d")
      .getImageData(0, 0, canvas.width, canvas.height)
      .data.reduce((sum, value) => sum + (value > 0 ? 1 : 0), 0);
  });
  expect(ink).toBeGreaterThan(10_000);
  expect(troubles).toEqual([]);
  expect(requests).toEqual([]);
});

test("hovering an operation and the keyboard both work on the timeline", async (context) => {
  const { page, troubles } = await open(context, true, "dark");
  const canvas = page.locator("#timeline canvas");
  await canvas.scrollIntoViewIfNeeded();
  const box = (await canvas.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
  const seen = new Set<string>();
  for (let step = 1; step < 40; step++) {
    await page.mouse.move(box.x + 150 + step * ((box.width - 160) / 40), box.y + 26 + 10);
    seen.add((await page.textContent("#timeline output")) ?? "");
  }
  expect([...seen].some((line) => /#\d+ process \d+ on n1: \{f: "/.test(line))).toBe(true);
  const picture = () => canvas.screenshot();
  const whole = await picture();
  await canvas.focus();
  await page.keyboard.press("+");
  expect((await picture()).equals(whole)).toBe(false);
  expect(troubles).toEqual([]);
});
