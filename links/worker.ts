import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import type { FromWorker, WorkerInput } from "./index.ts";
import { serveLinks } from "./server.ts";

const { proxies, seed } = workerData as WorkerInput;
const say = (message: FromWorker) => parentPort?.postMessage(message);

try {
  const links = await serveLinks({ proxies, clock: systemClock, random: seededRandom(seed) });
  parentPort?.once("message", () => {
    void links.stop().then(() => parentPort?.close());
  });
  say({ type: "ready", apiUrl: links.apiUrl, addresses: links.addresses });
} catch (error) {
  say({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  parentPort?.close();
}
