import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalId, LONGEST_HEAD_BYTES, SenderReader } from "./sender.ts";

const runs = 200 * Number(process.env["SEATRIAL_RUNS"] ?? 1);

interface Request {
  readonly sender: string | undefined;
  readonly body: { readonly kind: "none" | "length" | "chunked"; readonly text: string };
}

const request = fc.record<Request>({
  sender: fc.option(fc.stringMatching(/^[1-9a-f][0-9a-f]{0,15}$/), { nil: undefined }),
  body: fc.record({ kind: fc.constantFrom("none", "length", "chunked"), text: fc.stringMatching(/^[ -~\r\n]{1,40}$/) }),
});

/** A body that looks like a request must not be taken for one: some of these do. */
function written({ sender, body }: Request): string {
  const named = sender === undefined ? "" : `x-server-FROM: ${sender}\r\n`;
  const post = `POST /raft HTTP/1.1\r\nHost: a\r\n${named}`;
  if (body.kind === "none") return `GET /raft/stream HTTP/1.1\r\n${named}\r\n`;
  if (body.kind === "length") return `${post}Content-Length: ${body.text.length}\r\n\r\n${body.text}`;
  return `${post}Transfer-Encoding: chunked\r\n\r\n${body.text.length.toString(16)};x=1\r\n${body.text}\r\n0\r\n\r\n`;
}

test("however a pipeline of requests is cut into pieces, the senders are found in order and every byte becomes passable", () => {
  fc.assert(
    fc.property(
      fc.array(request, { minLength: 1, maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (requests, cuts) => {
        const stream = Buffer.from(requests.map(written).join(""), "latin1");
        const reader = new SenderReader();
        const senders: string[] = [];
        let pending = Buffer.alloc(0);
        let passed = 0;
        for (let at = 0, i = 0; at < stream.length; i++) {
          const piece = stream.subarray(at, at + (cuts[i % cuts.length] ?? 1));
          at += piece.length;
          pending = Buffer.concat([pending, piece]);
          const scan = reader.scan(pending);
          senders.push(...scan.senders);
          passed += scan.passable;
          pending = pending.subarray(scan.passable);
        }
        expect(reader.opaque).toBe(false);
        expect(passed).toBe(stream.length);
        expect(senders).toEqual(requests.flatMap(({ sender }) => (sender === undefined ? [] : [sender])));
      },
    ),
    { numRuns: runs },
  );
});

test.each([
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\n"],
  ["TLS", "\x16\x03\x01\x02\x00"],
  ["an upgrade", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"],
  ["a length that is none", "POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n"],
  ["a chunk size that is none", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
  ["a head without end", `GET /${"a".repeat(LONGEST_HEAD_BYTES)}`],
])("%s is opaque, and passes", (_what, words) => {
  const reader = new SenderReader();
  expect(reader.scan(Buffer.from(words, "latin1")).passable).toBe(words.length);
  expect(reader.opaque).toBe(true);
});

test("ids are compared as etcd prints them", () => {
  expect(["0x00AB", " ab ", "AB", "000"].map(canonicalId)).toEqual(["ab", "ab", "ab", "0"]);
});
