import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../seams/node/clock.ts";
import { seededRandom } from "../seams/random.ts";
import { serveLinks, type ServedLinks } from "./server.ts";

const runs = 25 * Number(process.env["SEATRIAL_RUNS"] ?? 1);

/** Toxics that may not lose anything. */
const toxic = fc.oneof(
  fc.record({
    type: fc.constant("latency"),
    attributes: fc.record({ latency: fc.integer({ min: 0, max: 8 }), jitter: fc.integer({ min: 0, max: 8 }) }),
  }),
  fc.record({
    type: fc.constant("slicer"),
    attributes: fc.record({
      average_size: fc.integer({ min: 50, max: 5000 }),
      size_variation: fc.integer({ min: 0, max: 40 }),
      delay: fc.integer({ min: 0, max: 200 }),
    }),
  }),
  fc.record({ type: fc.constant("bandwidth"), attributes: fc.record({ rate: fc.integer({ min: 500, max: 50_000 }) }) }),
  fc.record({ type: fc.constant("noop"), attributes: fc.constant({}) }),
);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("send" as const), sizeBytes: fc.integer({ min: 1, max: 100_000 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      slot: fc.integer({ min: 0, max: 2 }),
      stream: fc.constantFrom("upstream", "downstream"),
      toxic,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("update" as const), slot: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), slot: fc.integer({ min: 0, max: 2 }) }) },
);

const echo = createServer((socket) => socket.pipe(socket));
let links: ServedLinks;
beforeAll(async () => {
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  links = await serveLinks({
    proxies: [{ name: "p", upstream: `127.0.0.1:${(echo.address() as AddressInfo).port}` }],
    clock: systemClock,
    random: seededRandom(5),
  });
});
afterAll(async () => {
  await links.stop();
  echo.close();
});

test("whatever toxics come, change and go while bytes are under way, all arrive, in order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const api = (method: string, path: string, body?: unknown) =>
        fetch(`${links.apiUrl}/proxies/p/toxics${path}`, {
          method,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
      const socket = connect({ port: Number(links.addresses["p"]?.split(":")[1]), host: "127.0.0.1" });
      await once(socket, "connect");
      const sent: Buffer[] = [];
      const received: Buffer[] = [];
      socket.on("data", (data) => received.push(data));
      const ended = once(socket, "end");
      for (const one of steps) {
        if (one.kind === "send") {
          const words = Buffer.alloc(one.sizeBytes, `${sent.length}.`);
          sent.push(words);
          socket.write(words);
        } else if (one.kind === "add")
          await api("POST", "", { name: `t${one.slot}`, stream: one.stream, ...one.toxic });
        else if (one.kind === "update") await api("POST", `/t${one.slot}`, { toxicity: 1 });
        else await api("DELETE", `/t${one.slot}`);
      }
      socket.end();
      await ended;
      for (const slot of [0, 1, 2]) await api("DELETE", `/t${slot}`);
      expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
    }),
    { numRuns: runs },
  );
});
