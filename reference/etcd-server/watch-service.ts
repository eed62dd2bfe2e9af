import type { ResponseHeader, WatchRequest, WatchResponse } from "../../api/etcd/gen/rpc.ts";
import { refusal } from "./errors.ts";
import type { Member } from "./member.ts";
import type { WatchAnswer, WatchStream } from "./watch-stream.ts";

/** etcdserverpb.Watch, without a transport. */
export class WatchHandlers {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  /**
   * Serves one client stream until the client ends it (then it ends too) or `signal` aborts. Reading it slowly is fine:
   * see WatchHub. @param requiresLeader end it with "no leader" when this member has lost its leader for long.
   */
  async *watch(
    requests: AsyncIterable<WatchRequest>,
    signal: AbortSignal,
    requiresLeader = false,
  ): AsyncIterable<WatchResponse> {
    if (this.#member.stopped) throw refusal("stopped");
    const { hub, config } = this.#member;
    const stream = hub.open({ fragmentBytes: config.maxRequestBytes + 512 * 1024 });
    stream.requiresLeader = requiresLeader;
    const client = { ended: false };
    const reading = this.#read(requests, stream, signal).finally(() => {
      client.ended = true;
      stream.wake.wake();
    });
    // It is looked at below; until then a failure must not count as unhandled.
    reading.catch(() => undefined);
    try {
      for (;;) {
        const answer = stream.take();
        if (answer !== undefined) {
          yield this.#response(answer);
          continue;
        }
        if (stream.ended) throw stream.ended;
        if (this.#member.stopped) throw refusal("stopped");
        if (client.ended) {
          await reading;
          return;
        }
        await stream.wake.wait(signal);
      }
    } finally {
      hub.close(stream);
    }
  }

  async #read(requests: AsyncIterable<WatchRequest>, stream: WatchStream, signal: AbortSignal): Promise<void> {
    for await (const { requestUnion: request } of requests) {
      // A client that asks without reading waits, as one that reads slowly does.
      while (stream.full) await stream.wake.wait(signal);
      if (request?.$case === "createRequest") stream.create(request.createRequest);
      else if (request?.$case === "cancelRequest") stream.cancel(request.cancelRequest.watchId);
      else if (request?.$case === "progressRequest") stream.askProgress();
    }
  }

  #response(answer: WatchAnswer): WatchResponse {
    const header: ResponseHeader = this.#member.header(answer.revision);
    return {
      header,
      watchId: answer.watchId,
      created: answer.created ?? false,
      canceled: answer.canceled ?? false,
      compactRevision: BigInt(answer.compactRevision ?? 0),
      cancelReason: answer.cancelReason ?? "",
      fragment: answer.fragment ?? false,
      events: answer.events as WatchResponse["events"],
    };
  }
}
