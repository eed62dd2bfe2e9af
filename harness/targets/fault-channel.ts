import type { Duplex } from "node:stream";
import { createInterface } from "node:readline";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import type { FaultChannel, FaultChannelAnswer, FaultChannelCommand } from "../target.ts";

/** The descriptor that the member finds its end on, named to it in SEATRIAL_FAULT_FD. */
export const FAULT_FD = 3;

const ANSWER_WITHIN_MS: DurationMs = 10_000;

/**
 * Our end of the inherited channel: one JSON object a line, `{id, ...command}` out, `{id, ...answer}` back.
 * A request rejects if the member ends, says what is no answer, or does not answer within ten seconds.
 */
export function faultChannelOver(socket: Duplex, node: string, clock: Clock): FaultChannel {
  const waiting = new Map<number, { resolve(answer: FaultChannelAnswer): void; reject(error: Error): void }>();
  let nextId = 1;
  let closed: Error | undefined;
  const close = (why: string) => {
    closed ??= new Error(`the fault channel of ${node} ${why}`);
    for (const request of waiting.values()) request.reject(closed);
    waiting.clear();
  };
  socket.on("error", (error) => close(`broke: ${error.message}`));
  socket.on("close", () => close("is closed: the member has ended"));
  const lines = createInterface({ input: socket });
  // readline says its input's error again as its own, and unheard it would end the harness.
  lines.on("error", (error) => close(`broke: ${String(error)}`));
  lines.on("line", (line) => {
    const answer = parsedAnswer(line);
    if (answer === undefined) {
      close(`carried what is no answer: ${line.slice(0, 100)}`);
      return;
    }
    waiting.get(answer.id)?.resolve(answer);
    waiting.delete(answer.id);
  });
  return {
    async request(command: FaultChannelCommand) {
      if (closed !== undefined) throw closed;
      const id = nextId++;
      const answered = new AbortController();
      const late = clock.sleep(ANSWER_WITHIN_MS, answered.signal).then(() => {
        throw new Error(
          `the fault channel of ${node} gave no answer within ${ANSWER_WITHIN_MS} ms to ${JSON.stringify(command)}`,
        );
      });
      try {
        const answer = new Promise<FaultChannelAnswer>((resolve, reject) => waiting.set(id, { resolve, reject }));
        socket.write(`${JSON.stringify({ id, ...command })}\n`);
        return await Promise.race([answer, late]);
      } finally {
        waiting.delete(id);
        late.catch(() => undefined);
        answered.abort();
      }
    },
  };
}

function parsedAnswer(line: string): (FaultChannelAnswer & { readonly id: number }) | undefined {
  try {
    const answer: unknown = JSON.parse(line);
    const shaped =
      typeof answer === "object" &&
      answer !== null &&
      "id" in answer &&
      typeof answer.id === "number" &&
      "ok" in answer &&
      typeof answer.ok === "boolean";
    return shaped ? (answer as FaultChannelAnswer & { readonly id: number }) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
