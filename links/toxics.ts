import type { Clock, Instant } from "../seams/clock.ts";
import type { Random } from "../seams/random.ts";
import type { Chunk, End, Taken } from "./pipe.ts";

/** What a toxic works with on one direction of one connection. Once interrupted it hands on what it holds and returns. */
export interface ToxicIo {
  readonly clock: Clock;
  readonly random: Random;
  /** Survives updates of the toxic; gone with the connection. */
  readonly state: { transmitted: number };
  take(): Promise<Taken>;
  put(data: Buffer, at: Instant): Promise<void>;
  /** After it nothing more goes out. */
  end(how: End): void;
  /** false: interrupted before the time was over. */
  pause(ms: number): Promise<boolean>;
  readonly interrupted: boolean;
}

export type Attributes = Readonly<Record<string, number>>;

/** One kind of toxic: its attributes (integers, 0 if not given) and what it does to a stream. Semantics follow Toxiproxy 2.12 `toxics/*.go`. */
export interface ToxicKind {
  readonly attributes: readonly string[];
  pipe(io: ToxicIo, attributes: Attributes): Promise<void>;
  /** Removing it ends the connections it had swallowed bytes of: they could not go on whole. */
  readonly endsOnRemoval?: boolean;
}

/** Passes chunks to `each` until the stream ends or the toxic is interrupted; passes the end on. */
async function forEachChunk(io: ToxicIo, each: (chunk: Chunk) => Promise<void>): Promise<void> {
  for (;;) {
    const taken = await io.take();
    if (taken === "interrupted") return;
    if ("end" in taken) {
      io.end(taken.end);
      return;
    }
    await each(taken);
    if (io.interrupted) return;
  }
}

export const passThrough: ToxicKind = {
  attributes: [],
  pipe: (io) => forEachChunk(io, (chunk) => io.put(chunk.data, chunk.at)),
};

const latency: ToxicKind = {
  attributes: ["latency", "jitter"],
  pipe: (io, { latency: base = 0, jitter = 0 }) =>
    forEachChunk(io, async (chunk) => {
      const delay = base + (jitter > 0 ? io.random.below(Math.min(jitter * 2, 2 ** 32)) - jitter : 0);
      const wait = delay - (io.clock.now() - chunk.at);
      const waited = await io.pause(wait);
      await io.put(chunk.data, (waited ? chunk.at + Math.max(0, wait) : chunk.at) as Instant);
    }),
};

/** Low rates go out in slices of this length, as Toxiproxy's do. */
const BANDWIDTH_SLICE_MS = 100;

/** `rate` in KB/s, which is bytes per millisecond. 0 lets nothing through. */
const bandwidth: ToxicKind = {
  attributes: ["rate"],
  async pipe(io, { rate = 0 }) {
    let owedMs = 0;
    await forEachChunk(io, async ({ data, at }) => {
      let rest = data;
      if (rate <= 0) {
        await io.pause(Number.MAX_SAFE_INTEGER);
      } else {
        owedMs += rest.length / rate;
        while (rest.length > rate * BANDWIDTH_SLICE_MS && (await io.pause(BANDWIDTH_SLICE_MS))) {
          await io.put(rest.subarray(0, rate * BANDWIDTH_SLICE_MS), at);
          rest = rest.subarray(rate * BANDWIDTH_SLICE_MS);
          owedMs -= BANDWIDTH_SLICE_MS;
        }
        const before = io.clock.now();
        await io.pause(owedMs);
        // A timer is only good to a millisecond: what it overslept is taken off the next wait.
        owedMs -= io.clock.now() - before;
      }
      await io.put(rest, at);
    });
  },
};

const slowClose: ToxicKind = {
  attributes: ["delay"],
  async pipe(io, { delay = 0 }) {
    for (;;) {
      const taken = await io.take();
      if (taken === "interrupted") return;
      if ("end" in taken) {
        if (await io.pause(delay)) io.end(taken.end);
        return;
      }
      await io.put(taken.data, taken.at);
    }
  },
};

/** Swallows everything; closes the connection `timeout` ms after the last bytes came (Toxiproxy restarts the wait with each chunk), never if 0. */
const timeout: ToxicKind = {
  attributes: ["timeout"],
  endsOnRemoval: true,
  async pipe(io, { timeout: limitMs = 0 }) {
    for (;;) {
      const taken = limitMs > 0 ? await takeWithin(io, limitMs) : await io.take();
      if (taken === "interrupted") return;
      if (taken === "late" || "end" in taken) {
        io.end("close");
        return;
      }
    }
  },
};

async function takeWithin(io: ToxicIo, limitMs: number): Promise<Taken | "late"> {
  const stop = new AbortController();
  const late = io.clock.sleep(limitMs, stop.signal).then(
    () => "late" as const,
    () => "interrupted" as const,
  );
  const taken = await Promise.race([io.take(), late]);
  stop.abort();
  return taken;
}

/** Resets at the first bytes (or FIN) after it was set, `timeout` ms later. */
const resetPeer: ToxicKind = {
  attributes: ["timeout"],
  async pipe(io, { timeout: afterMs = 0 }) {
    if ((await io.take()) === "interrupted") return;
    await io.pause(afterMs);
    io.end("reset");
  },
};

/** `delay` in microseconds between slices of `average_size` +/- `size_variation` bytes. */
const slicer: ToxicKind = {
  attributes: ["average_size", "size_variation", "delay"],
  pipe: (io, { average_size: average = 0, size_variation: variation = 0, delay = 0 }) =>
    forEachChunk(io, async ({ data, at }) => {
      const cuts = slices(
        0,
        data.length,
        Math.max(1, average),
        Math.min(Math.max(0, variation), Math.max(0, average - 1)),
        io.random,
      );
      let from = 0;
      for (const to of cuts) {
        await io.put(data.subarray(from, to), at);
        from = to;
        if (!(await io.pause(delay / 1000))) break;
      }
      await io.put(data.subarray(from), at);
    }),
};

/** Ends of slices, halving until each is small enough, so that none is odd at the start or the end. */
function slices(start: number, end: number, average: number, variation: number, random: Random): number[] {
  if (end - start - average <= variation) return [end];
  const middle = start + Math.floor((end - start) / 2) + (variation > 0 ? random.below(variation * 2) - variation : 0);
  const cut = Math.min(Math.max(middle, start + 1), end - 1);
  return [...slices(start, cut, average, variation, random), ...slices(cut, end, average, variation, random)];
}

const limitData: ToxicKind = {
  attributes: ["bytes"],
  async pipe(io, { bytes = 0 }) {
    for (;;) {
      const taken = await io.take();
      if (taken === "interrupted") return;
      if ("end" in taken) {
        io.end(taken.end);
        return;
      }
      const part = taken.data.subarray(0, Math.max(0, bytes - io.state.transmitted));
      io.state.transmitted += part.length;
      await io.put(part, taken.at);
      if (io.state.transmitted >= bytes) {
        io.end("close");
        return;
      }
    }
  },
};

export const toxicKinds: Readonly<Record<string, ToxicKind>> = {
  latency,
  bandwidth,
  slow_close: slowClose,
  timeout,
  reset_peer: resetPeer,
  slicer,
  limit_data: limitData,
  noop: passThrough,
};
