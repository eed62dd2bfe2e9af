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

/** A lie, told now and then; `told` is called each time. */
export function tampering(lie: Lie, told: () => void): Tampering {
  if (lie === "drop-put") return dropsPuts(told);
  if (lie === "stale-read") return readsThePast(told);
  return lie === "swallow-event" ? swallowsEvents(told) : {};
}

/** How many calls pass truthfully before each lie: the cluster is at work by then. */
const TRUTHS = 40;

/** After a while, about one put in ten is answered OK with a believable revision and never reaches the store. */
function dropsPuts(told: () => void): Tampering {
  let puts = 0;
  let last: PutResponse | undefined;
  return {
    async unary(path, request, pass) {
      if (path !== kv.put.path) return pass(request);
      if (++puts > TRUTHS && puts % 10 === 0 && last?.header !== undefined && PutRequest.decode(request).lease === 0n) {
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

/** After a while, about one linearizable range in ten shows the state of some revisions before. */
function readsThePast(told: () => void): Tampering {
  let ranges = 0;
  let newest = 0n;
  return {
    async unary(path, request, pass) {
      if (path !== kv.range.path) return pass(request);
      const asked = RangeRequest.decode(request);
      const lies =
        ++ranges > TRUTHS && ranges % 10 === 0 && asked.revision === 0n && !asked.serializable && newest > 50n;
      if (lies) told();
      const answer = await pass(lies ? RangeRequest.encode({ ...asked, revision: newest - 40n }).finish() : request);
      newest = RangeResponse.decode(answer).header?.revision ?? newest;
      return answer;
    },
  };
}

/** After a while, one answer of a watch in twenty is swallowed. */
function swallowsEvents(told: () => void): Tampering {
  let answers = 0;
  return {
    watched(answer) {
      const { events } = WatchResponse.decode(answer);
      if (events.length === 0 || ++answers <= TRUTHS || answers % 20 !== 0) return answer;
      told();
      return undefined;
    },
  };
}
