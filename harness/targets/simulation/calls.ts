import { status } from "@grpc/grpc-js";
import { ClientLinkError, type ClientLinks } from "../../../simulation/client-link.ts";
import { CallFailed } from "../../clients/connection.ts";
import type { Calls } from "../../clients/etcd.ts";

/** One client's connection to one simulated member: what gRPC would say, said by the world. */
export function simulatedCalls(links: ClientLinks): Calls {
  const closing = new AbortController();
  const until = (signal: AbortSignal) => AbortSignal.any([signal, closing.signal]);
  return {
    async unary(path, request, signal) {
      refuseLeft(signal, closing.signal);
      try {
        return await links.unary(path, request, until(signal));
      } catch (error) {
        throw callFailed(error, signal);
      }
    },
    async *stream(path, request, signal) {
      refuseLeft(signal, closing.signal);
      try {
        yield* links.stream(path, request, until(signal));
      } catch (error) {
        throw callFailed(error, signal);
      }
    },
    close: () => closing.abort(),
  };
}

function refuseLeft(signal: AbortSignal, closed: AbortSignal): void {
  if (signal.aborted || closed.aborted)
    throw new CallFailed({ code: "NOT_SENT", message: "the client left before the request did", connected: false });
}

function callFailed(error: unknown, signal: AbortSignal): Error {
  if (error instanceof ClientLinkError) {
    const late = error.code === "CANCELLED" && signal.aborted && (signal.reason as Error).name !== "AbortError";
    if (late)
      return new CallFailed({
        code: "DEADLINE_EXCEEDED",
        message: (signal.reason as Error).message,
        connected: error.connected,
      });
    return new CallFailed({ code: error.code, message: error.message, connected: error.connected });
  }
  // The member's own refusals carry gRPC's number.
  if (error instanceof Error && "code" in error && typeof error.code === "number")
    return new CallFailed({ code: status[error.code] ?? String(error.code), message: error.message, connected: true });
  return error as Error;
}
