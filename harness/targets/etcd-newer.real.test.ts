import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { etcdClientContract } from "../clients/etcd.contract.ts";
import { bare, openInTemporary, whole } from "./process-target.contract.ts";

/** Where `tools/install-real-parts` puts what it builds; `.ci/run` has it on PATH. */
const built = fileURLToPath(new URL("../../.cache/bin", import.meta.url));

describe.each(["3.5", "3.6", "3.7"])("against three members of etcd %s", (version) => {
  const name = `etcd-${version}`;
  const found = [...(process.env["PATH"] ?? "").split(delimiter), built]
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  let opened: Awaited<ReturnType<typeof openInTemporary>> | undefined;
  const target = () => {
    if (opened === undefined) throw new Error("no cluster");
    return opened.target;
  };
  beforeAll(async () => {
    if (found === undefined) return;
    opened = await openInTemporary(found);
    await opened.target.start({ ...bare, links: true });
    await whole(opened.target);
  });
  afterAll(async () => opened?.[Symbol.asyncDispose]());
  beforeEach((context) => {
    if (found === undefined) context.skip(`no ${name} on PATH or in .cache/bin: tools/install-real-parts ${name}`);
  });

  test("it is that version, through the proxies", async () => {
    expect((await target().versions())["etcd"]).toMatch(new RegExp(`^${version.replace(".", "\\.")}\\.`));
    expect(target().linksApi).toBeDefined();
  });

  describe("the client", () => {
    etcdClientContract(target);
  });
});
