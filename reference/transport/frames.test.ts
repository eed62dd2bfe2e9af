import { expect, test } from "vitest";
import fc from "fast-check";
import type { NodeId } from "../../seams/network.ts";
import { FrameReader, writeFrames } from "./frames.ts";
import { admit, peerHeaders } from "./peer-protocol.ts";

test("messages come out as they went in, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 20 }),
      (messages, cuts) => {
        const bytes = writeFrames(messages);
        const reader = new FrameReader();
        const out: Buffer[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          reader.push(bytes.subarray(at, at + size), (message) => out.push(message));
          at += size;
        }
        expect(out.map((m) => [...m])).toEqual(messages.map((m) => [...m]));
      },
    ),
    { numRuns: 200 * Number(process.env["SEATRIAL_RUNS"] ?? 1) },
  );
});

test("an absurd length is refused", () => {
  expect(() => new FrameReader().push(Buffer.from([0xff, 0, 0, 0, 1]), () => undefined)).toThrow("at most");
});

test("who is admitted", () => {
  const us = { self: 1n as NodeId, clusterId: 0xc0ffeen };
  const members = new Set([1n as NodeId, 0xabn as NodeId]);
  const headers = peerHeaders({ self: 0xabn as NodeId, clusterId: 0xc0ffeen });
  expect(admit(headers, us, members)).toEqual({ from: 0xabn });
  const without = (name: string, value?: string) => admit({ ...headers, [name]: value }, us, members);
  expect(without("x-seatrial-peer")).toMatchObject({
    status: 412,
    why: expect.stringContaining("no cluster with etcd") as string,
  });
  expect(without("x-seatrial-peer", "2")).toMatchObject({ status: 412 });
  expect(without("x-etcd-cluster-id", "1")).toMatchObject({
    status: 412,
    why: expect.stringContaining("cluster ID mismatch") as string,
  });
  expect(without("x-server-from", "xyz")).toMatchObject({ status: 400 });
  expect(without("x-server-from", "cd")).toMatchObject({ status: 403 });
});
