import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runTranscript } from "./rehearsal/transcript.ts";

const folder = new URL("./testdata/", import.meta.url);
const stories = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("stories", () => {
  it.each(stories)("%s", (name) => {
    const file = new URL(name, folder);
    const written = readFileSync(file, "utf8");
    const told = runTranscript(written);
    // SEATRIAL_REWRITE=1 takes what happens now as what is expected: read the diff before you commit it.
    if (process.env["SEATRIAL_REWRITE"] === "1") writeFileSync(file, told);
    else expect(told).toBe(written);
  });

  it("are at least a dozen", () => {
    expect(stories.length).toBeGreaterThanOrEqual(12);
  });

  it("fail when something else happens", () => {
    const story = readFileSync(new URL("election.txt", folder), "utf8");
    expect(runTranscript(story.replace("tick all 10", "tick all 9"))).not.toBe(story);
  });
});

describe("a story with a mistake in it", () => {
  it.each([
    ["members 1 2 3\nelect 1", /no command is called "elect"/],
    ["members 1 two", /"two" is neither a number nor an option/],
    ["campaign 1", /a story begins with `members`/],
    ["members 1 2 3\ntick one", /"one" should be a number/],
    ["members 1 2 3\ncampaign 9", /there is no member 9/],
    ["members 1 2 3\nchange 1 promote 2", /should be addVoter, addLearner or remove/],
  ])("%j", (story, complaint) => {
    expect(() => runTranscript(story)).toThrow(complaint);
  });
});
