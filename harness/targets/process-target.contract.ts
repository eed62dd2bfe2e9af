import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../../seams/node/clock.ts";
import { entropySeed } from "../../seams/node/random.ts";
import { seededRandom } from "../../seams/random.ts";
import { connectEtcd } from "../clients/etcd.ts";
import type { LaunchSpec, Target } from "../target.ts";
import { withDeadline } from "./deadline.ts";
import { openTarget } from "./open.ts";
import { endLeftovers, isAlive, readProcessJournal } from "./process-journal.ts";

export const bare: LaunchSpec = { wrapper: [], env: {}, links: false, faultChannel: false, extraArgs: [] };

/** A fresh run directory and an opened target in it; `dispose` ends both. */
export async function openInTemporary(spec: string, nodes = 3) {
  const runDir = mkdtempSync(join(tmpdir(), "seatrial-target-"));
  const target = await openTarget(spec, { nodes, runDir, clock: systemClock, random: seededRandom(entropySeed()) });
  return {
    runDir,
    target,
    async [Symbol.asyncDispose]() {
      await target[Symbol.asyncDispose]();
      rmSync(runDir, { recursive: true });
    },
  };
}

/** What the faults and the runner build on, for any binary that starts like etcd. */
export function processTargetContract(spec: string): void {
  test("three members start, answer, agree on a leader, and end without a trace", async () => {
    const { target, runDir } = await openInTemporary(spec);
    await target.start(bare);
    const view = await whole(target);
    expect(view.nodes.map((node) => [node.node, node.running, node.reachable])).toEqual([
      ["n1", true, true],
      ["n2", true, true],
      ["n3", true, true],
    ]);
    expect(view.nodes.filter((node) => node.leader).map((node) => node.node)).toEqual([view.leader]);
    const recorded = readProcessJournal(runDir);
    expect(recorded.map((process) => process.pid).sort()).toEqual(
      target.nodes.map((node) => target.pid(node.name)).sort(),
    );
    expect(recorded.every(isAlive)).toBe(true);
    expect(Object.values(await target.versions())[0]).toMatch(/^\d+\.\d+\.\d+/);
    await target[Symbol.asyncDispose]();
    expect(recorded.some(isAlive)).toBe(false);
    expect(readProcessJournal(runDir)).toEqual([]);
    expect(existsSync(join(runDir, "data"))).toBe(false);
    rmSync(runDir, { recursive: true });
  });

  test("a killed leader is seen to be gone, another is elected, and the old one comes back on its data", async () => {
    await using opened = await openInTemporary(spec);
    const { target } = opened;
    await target.start(bare);
    const victim = (await whole(target)).leader ?? "";
    await put(target, "n1", "before", "1");
    process.kill(target.pid(victim) ?? 0, "SIGKILL");
    expect(await target.exited(victim)).toEqual({ code: null, signal: "SIGKILL" });
    expect(target.pid(victim)).toBeUndefined();
    const survivors = await until(target, (view) => view.leader !== undefined && view.leader !== victim);
    expect(survivors.nodes.find((node) => node.node === victim)).toMatchObject({
      running: false,
      reachable: false,
      leader: false,
    });
    await put(target, survivors.leader ?? "", "during", "2");
    await target.restart(victim);
    await expect(target.restart(victim)).rejects.toThrow(/is running/);
    await whole(target);
    expect(await get(target, victim, "before")).toBe("1");
    expect(await get(target, victim, "during")).toBe("2");
  });

  test("all members killed at once come back with what was acknowledged", async () => {
    await using opened = await openInTemporary(spec);
    const { target } = opened;
    await target.start(bare);
    const names = target.nodes.map((node) => node.name);
    await put(target, "n2", "kept", "yes");
    for (const name of names) process.kill(target.pid(name) ?? 0, "SIGKILL");
    await Promise.all(names.map((name) => target.exited(name)));
    for (const name of names) await target.restart(name);
    await whole(target);
    expect(await get(target, "n3", "kept")).toBe("yes");
  });

  test("a stopped member is running but not reachable, and is ended all the same", async () => {
    await using opened = await openInTemporary(spec);
    const { target } = opened;
    await target.start(bare);
    const { leader } = await whole(target);
    const other = target.nodes.map((node) => node.name).find((name) => name !== leader) ?? "";
    process.kill(target.pid(other) ?? 0, "SIGSTOP");
    const view = await until(target, (seen) => seen.nodes.some((node) => node.node === other && !node.reachable));
    expect(view.nodes.find((node) => node.node === other)).toMatchObject({ running: true, reachable: false });
    expect(view.leader).toBe(leader);
  });

  test("with links, clients go through the proxy and the members through each other's", async () => {
    await using opened = await openInTemporary(spec);
    const { target } = opened;
    await target.start({ ...bare, links: true });
    await whole(target);
    expect(target.endpoint("n1")).not.toBe(target.nodes[0]?.directClientAddress);
    await put(target, "n1", "through", "proxy");
    const proxies = (await (await fetch(`${target.linksApi}/proxies`)).json()) as Record<
      string,
      { listen: string; upstream: string }
    >;
    expect(Object.keys(proxies).sort()).toEqual([
      "client-n1",
      "client-n2",
      "client-n3",
      "peer-n1",
      "peer-n2",
      "peer-n3",
    ]);
    expect(proxies["client-n1"]?.listen).toBe(target.endpoint("n1"));
    expect(proxies["peer-n2"]?.upstream).toBe(target.nodes[1]?.directPeerAddress);
    await fetch(`${target.linksApi}/proxies/client-n1`, { method: "POST", body: JSON.stringify({ enabled: false }) });
    await using client = connectEtcd(target.endpoint("n1"), { clock: systemClock });
    expect(
      await client.invoke({ f: "put", key: "through", value: "nothing" }, new AbortController().signal),
    ).toMatchObject({ type: "fail", error: { code: "UNAVAILABLE" } });
  });

  test("a member that ends while it starts is told in one sentence with its last words and its log, and nothing is left", async () => {
    const { target, runDir } = await openInTemporary(spec, 1);
    const failure = target.start({ ...bare, extraArgs: ["--no-such-flag"] });
    await expect(failure).rejects.toMatchObject({ name: "UsageError" });
    await expect(failure).rejects.toThrow(
      /^n1 ended while it started \(exit code \d+\); its last words were ".*no-such-flag.*", its log is .*n1\.log\.$/,
    );
    expect(readProcessJournal(runDir)).toEqual([]);
    await target[Symbol.asyncDispose]();
    rmSync(runDir, { recursive: true });
  });

  test("what a killed harness leaves behind is found in its journal and ended", async () => {
    const runDir = mkdtempSync(join(tmpdir(), "seatrial-target-"));
    const here = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      const { openTarget } = await import(${here("./open.ts")});
      const { systemClock } = await import(${here("../../seams/node/clock.ts")});
      const { seededRandom } = await import(${here("../../seams/random.ts")});
      const target = await openTarget(${JSON.stringify(spec)}, { nodes: 3, runDir: ${JSON.stringify(runDir)}, clock: systemClock, random: seededRandom(${entropySeed()}) });
      await target.start(${JSON.stringify(bare)});
      process.kill(target.pid("n2"), "SIGSTOP");
      process.kill(process.pid, "SIGKILL");`;
    const harness = spawn(process.execPath, ["--conditions=@seatrial/source", "--input-type=module", "-e", script], {
      stdio: "ignore",
    });
    expect((await once(harness, "exit"))[1]).toBe("SIGKILL");
    const left = readProcessJournal(runDir);
    expect(left.map((process) => process.node).sort()).toEqual(["n1", "n2", "n3"]);
    expect(left.every(isAlive)).toBe(true);
    expect(await endLeftovers(runDir, { clock: systemClock })).toEqual(left);
    expect(left.some(isAlive)).toBe(false);
    rmSync(runDir, { recursive: true });
  });

  test("a wrapper and its environment stand in front of the member", async () => {
    await using opened = await openInTemporary(spec, 1);
    const { target, runDir } = opened;
    await target.start({
      ...bare,
      wrapper: ["/bin/sh", "-c", 'echo "wrapped $GREETING"; exec "$@"', "wrapper"],
      env: { GREETING: "hello" },
    });
    expect(readFileSync(join(runDir, "logs", "n1.log"), "utf8")).toContain("wrapped hello");
    const missing = await openInTemporary(spec, 1);
    await expect(missing.target.start({ ...bare, wrapper: ["/no/such/wrapper"] })).rejects.toThrow(
      "/no/such/wrapper cannot be run (ENOENT)",
    );
    await missing[Symbol.asyncDispose]();
  });
}

export async function whole(target: Target) {
  return until(target, (view) => view.leader !== undefined && view.nodes.every((node) => node.reachable));
}

async function until(target: Target, holds: (view: Awaited<ReturnType<Target["view"]>>) => boolean) {
  const end = systemClock.now() + 20_000;
  for (;;) {
    const view = await target.view();
    if (holds(view)) return view;
    if (systemClock.now() > end) throw new Error(`not within 20 s: ${JSON.stringify(view)}`);
    await systemClock.sleep(50);
  }
}

async function put(target: Target, node: string, key: string, value: string): Promise<void> {
  await using client = connectEtcd(target.endpoint(node), { clock: systemClock });
  const outcome = await withDeadline(systemClock, 10_000, undefined, (signal) =>
    client.invoke({ f: "put", key, value }, signal),
  );
  expect(outcome.type).toBe("ok");
}

async function get(target: Target, node: string, key: string): Promise<string | undefined> {
  await using client = connectEtcd(target.endpoint(node), { clock: systemClock });
  const outcome = await withDeadline(systemClock, 10_000, undefined, (signal) =>
    client.invoke({ f: "range", key }, signal),
  );
  return outcome.type === "ok" && outcome.output.f === "range" ? outcome.output.kvs[0]?.value : undefined;
}
