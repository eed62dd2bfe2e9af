import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parentPort, workerData } from "node:worker_threads";
import { HistoryLineReader, type History } from "knossos-ts";
import type { JudgeAnswer, JudgeRequest } from "./judge.ts";
import { suiteCatalogue } from "./index.ts";

async function judge(request: JudgeRequest): Promise<JudgeAnswer> {
  const history = await readHistory(request.historyFile);
  const budget = { timeLimitMs: request.timeLimitMs };
  return Promise.all(
    request.suites.map(async (name) => {
      const suite = suiteCatalogue.find((one) => one.name === name);
      return suite === undefined ? [] : suite.check(history, budget);
    }),
  );
}

async function readHistory(file: string): Promise<History> {
  const reader = new HistoryLineReader();
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    reader.add(line);
  }
  return reader.finish();
}

const answer = await judge(workerData as JudgeRequest);
parentPort?.postMessage(answer);
