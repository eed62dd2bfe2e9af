import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import { describe, test } from "vitest";
import { toxiproxyContract, type ToxiproxyUnderTest } from "./toxiproxy.contract.ts";

const binary = process.env["SEATRIAL_TOXIPROXY"] ?? onPath("toxiproxy-server");

if (binary === undefined) {
  describe("the original Toxiproxy", () => {
    test("is not here", (context) => context.skip("set SEATRIAL_TOXIPROXY, or put toxiproxy-server on PATH"));
  });
} else {
  toxiproxyContract("the original Toxiproxy", () => startOriginal(binary));
}

async function startOriginal(file: string): Promise<ToxiproxyUnderTest> {
  const port = await freePort();
  const child = spawn(file, ["-host", "127.0.0.1", "-port", String(port), "-proxy-metrics"], {
    stdio: "ignore",
    env: { ...process.env, LOG_LEVEL: "error" },
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const apiUrl = `http://127.0.0.1:${port}`;
  for (
    let tries = 0;
    !(await fetch(`${apiUrl}/version`).then(
      (response) => response.ok,
      () => false,
    ));
    tries++
  ) {
    if (tries === 200) throw new Error(`${file} does not answer on ${apiUrl}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    apiUrl,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function onPath(name: string): string | undefined {
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
