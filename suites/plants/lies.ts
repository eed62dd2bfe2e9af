import { kv } from "../../api/etcd/services.ts";
import { PutRequest, PutResponse, RangeRequest, RangeResponse, WatchResponse } from "../../api/etcd/gen/rpc.ts";

/** What a go-between does to the calls that pass. Absent parts pass everything on. */
export interface Tampering {
  /** May answer by itself, or change the request before `pass` or the answer after it. */
  readonly unary?: (
    path: string,
    request: Uint8Array,
    pass: (request: Uint8Array) => Promise<Uint8Array>,
  ) => Promise<Uint8Array>;
  /** One answer of a watch; undefined swallows it. */
  readonly watched?: (answer: Uint8Array) => Uint8Array | undefined;
}

export type Lie = "none" | "drop-put" | "stale-read" | "swallow-event";

/** A lie, told now and then, and the truth otherwise; `told` is called each time that an answer is not true. */
export function tampering(lie: Lie, told: () => void): Tampering {
  if (lie === "drop-put") return dropsPuts(told);
  if (lie === "stale-read") return readsThePast(told);
  return lie === "swallow-event" ? swallowsEvents(told) : {};
}

/** The clients are at work after so many true answers. */
const TRUTHS = 5;
/** From then on one of so many answers is a lie... */
const ONE_IN = 2;
/** ...but not for ever: the last reads of a trial find the store as it is, and none waits for what will never come. */
const MOST_LIES = 4;

/** Tells of each call in turn whether it is to be lied to. */
function moments(): () => boolean {
  let calls = 0;
  let lies = 0;
  return () => ++calls > TRUTHS && calls % ONE_IN === 0 && ++lies <= MOST_LIES;
}

/** A put is answered OK with a believable revision and never reaches the store. */
function dropsPuts(told: () => void): Tampering {
  const lieNow = moments();
  let last: PutResponse | undefined;
  return {
    async unary(path, request, pass) {
      if (path !== kv.put.path) return pass(request);
      if (last?.header !== undefined && !isLastMark(request) && lieNow()) {
        told();
        return PutResponse.encode({
          ...last,
          header: { ...last.header, revision: last.header.revision + 1n },
        }).finish();
      }
      const answer = await pass(request);
      last = PutResponse.decode(answer);
      return answer;
    },
  };
}

/** The put that the last reads of the watches wait for: without it each would wait in vain for seconds. */
function isLastMark(request: Uint8Array): boolean {
  return Buffer.from(PutRequest.decode(request).key).toString().endsWith("/end");
}

/** How many revisions back a read is set. */
const BACK = 40n;

/** A linearizable range shows the state of some revisions before, under the present header. */
function readsThePast(told: () => void): Tampering {
  const lieNow = moments();
  return {
    async unary(path, request, pass) {
      if (path !== kv.range.path) return pass(request);
      const asked = RangeRequest.decode(request);
      const answer = await pass(request);
      const truth = RangeResponse.decode(answer);
      const revision = (truth.header?.revision ?? 0n) - BACK;
      if (asked.revision !== 0n || asked.serializable || revision <= 0n || !lieNow()) return answer;
      const past = RangeResponse.decode(await pass(RangeRequest.encode({ ...asked, revision }).finish()));
      const lie = RangeResponse.encode({ ...past, header: truth.header }).finish();
      // Where nothing changed since, the past is the truth.
      if (Buffer.compare(lie, answer) !== 0) told();
      return lie;
    },
  };
}

/** No revision of a trial's writers changes more keys: what has more events is the past, read at once. */
const MOST_EVENTS_OF_NOW = 2;

/** An answer of a watch is swallowed, events and all. Not one that tells the past: the last reads would wait for it. */
function swallowsEvents(told: () => void): Tampering {
  const lieNow = moments();
  return {
    watched(answer) {
      const { events } = WatchResponse.decode(answer);
      if (events.length === 0 || events.length > MOST_EVENTS_OF_NOW || !lieNow()) return answer;
      told();
      return undefined;
    },
  };
}
