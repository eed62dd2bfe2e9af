import type { EtcdInput, EtcdOutput, WatchInput, WatchMessage } from "knossos-ts";
import { lease, watch } from "../../api/etcd/services.ts";
import type { Clock } from "../../seams/clock.ts";
import { type Outcome, StreamBroken } from "../client.ts";
import type { EtcdClient } from "../suite.ts";
import { CallFailed, Connection } from "./connection.ts";
import { type CallFailure, outcomeOf } from "./outcome.ts";
import {
  InvalidInput,
  isReadOnly,
  keepAliveBytes,
  keepAliveOutput,
  UnreadableAnswer,
  watchBytes,
  watchMessage,
  wireCall,
} from "./wire.ts";

export interface ConnectOptions {
  readonly clock: Clock;
  /** A refused connection is told no sooner than this after the call, so that a closed loop does not spin while a member is down. Default 20. */
  readonly refusalMs?: number;
}

const DEFAULT_REFUSAL_MS = 20;

/** How calls reach a member: bytes out, bytes in. Fails with CallFailed alone; aborting the signal is the client's own leaving. */
export type Calls = Pick<Connection, "unary" | "stream" | "close">;

/**
 * A client of one endpoint (`host:port`), connecting when first used. The signal is an operation's deadline: abort it with an Error that says
 * so to have DEADLINE_EXCEEDED recorded, without a reason for CANCELLED.
 */
export function connectEtcd(address: string, options: ConnectOptions): EtcdClient {
  return etcdClientOver(new Connection(address), options);
}

/** The same client over calls of any kind. */
export function etcdClientOver(connection: Calls, options: ConnectOptions): EtcdClient {
  const refusalMs = options.refusalMs ?? DEFAULT_REFUSAL_MS;
  return {
    async invoke(input, signal) {
      const invokedAt = options.clock.now();
      const outcome = await attempt(connection, input, signal);
      if (outcome.type === "fail" && outcome.error.code === "UNAVAILABLE")
        await atLeast(options.clock, refusalMs - (options.clock.now() - invokedAt), signal);
      return outcome;
    },
    open: (input, signal) => openWatch(connection, input, signal),
    async [Symbol.asyncDispose]() {
      connection.close();
    },
  };
}

async function attempt(connection: Calls, input: EtcdInput, signal: AbortSignal): Promise<Outcome<EtcdOutput>> {
  try {
    return { type: "ok", output: await answerTo(connection, input, signal) };
  } catch (error) {
    return outcomeOf(callFailure(error), isReadOnly(input));
  }
}

async function answerTo(connection: Calls, input: EtcdInput, signal: AbortSignal): Promise<EtcdOutput> {
  if (input.f === "lease-keepalive") {
    for await (const answer of connection.stream(lease.leaseKeepAlive.path, keepAliveBytes(input), signal))
      return keepAliveOutput(answer);
    throw new CallFailed({
      code: "UNREADABLE_ANSWER",
      message: "the keepalive stream ended without an answer",
      connected: true,
    });
  }
  const call = wireCall(input);
  return call.read(await connection.unary(call.path, call.request, signal));
}

async function* openWatch(
  connection: Calls,
  input: WatchInput,
  signal: AbortSignal,
): AsyncGenerator<WatchMessage, void, undefined> {
  try {
    for await (const answer of connection.stream(watch.watch.path, watchBytes(input), signal)) {
      const message = watchMessage(answer);
      yield message;
      if (message.canceled === true) return;
    }
  } catch (error) {
    // The caller ends its watch by aborting: that is no break.
    if (signal.aborted) return;
    throw new StreamBroken(outcomeOf(callFailure(error), true).error);
  }
}

/** Expected failures become data; anything else is a bug of ours and goes up. */
function callFailure(error: unknown): CallFailure {
  if (error instanceof CallFailed) return error;
  if (error instanceof InvalidInput) return { code: "INVALID_INPUT", message: error.message, connected: false };
  if (error instanceof UnreadableAnswer) return { code: "UNREADABLE_ANSWER", message: error.message, connected: true };
  throw error;
}

async function atLeast(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  await clock.sleep(ms, signal).catch((reason: unknown) => {
    if (!signal.aborted) throw reason;
  });
}
