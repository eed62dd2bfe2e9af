import { expect, test } from "vitest";
import { definiteErrors, outcomeOf } from "./outcome.ts";

const sent = { connected: true };

test.each([
  ["INVALID_ARGUMENT", "etcdserver: key is not provided"],
  ["INVALID_ARGUMENT", "etcdserver: value is provided"],
  ["INVALID_ARGUMENT", "etcdserver: lease is provided"],
  ["INVALID_ARGUMENT", "etcdserver: too many operations in txn request"],
  ["INVALID_ARGUMENT", "etcdserver: duplicate key given in txn request"],
  ["INVALID_ARGUMENT", "etcdserver: invalid sort option"],
  ["INVALID_ARGUMENT", "etcdserver: request is too large"],
  ["INVALID_ARGUMENT", "etcdserver: key not found"],
  ["RESOURCE_EXHAUSTED", "etcdserver: too many requests"],
  ["OUT_OF_RANGE", "etcdserver: mvcc: required revision has been compacted"],
  ["OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision"],
  ["OUT_OF_RANGE", "etcdserver: too large lease TTL"],
  ["NOT_FOUND", "etcdserver: requested lease not found"],
  ["FAILED_PRECONDITION", "etcdserver: lease already exists"],
  ["PERMISSION_DENIED", "etcdserver: permission denied"],
  ["UNAUTHENTICATED", "etcdserver: invalid auth token"],
  ["UNIMPLEMENTED", "unknown service etcdserverpb.KV"],
  ["UNIMPLEMENTED", "The server does not implement the method /etcdserverpb.KV/Txn"],
  ["INVALID_INPUT", 'a lease id must be a 64-bit integer in decimal, not "x"'],
  ["NOT_SENT", "the client was closed before the request left"],
])("a write refused with %s %s is a fail", (code, message) => {
  expect(outcomeOf({ code, message, ...sent }, false)).toEqual({
    type: "fail",
    error: { code, message, definite: true },
  });
});

test.each([
  ["DEADLINE_EXCEEDED", "no answer within 1000 ms"],
  ["CANCELLED", "the run ends"],
  ["INTERNAL", "Received RST_STREAM with code 2 (Internal server error)"],
  ["UNAVAILABLE", "Connection dropped"],
  ["UNAVAILABLE", "Stream refused by server"],
  ["UNAVAILABLE", "etcdserver: server stopped"],
  ["UNAVAILABLE", "etcdserver: leader changed"],
  ["UNAVAILABLE", "etcdserver: no leader"],
  ["UNAVAILABLE", "etcdserver: request timed out"],
  ["UNAVAILABLE", "etcdserver: request timed out, possibly due to previous leader failure"],
  ["UNAVAILABLE", "etcdserver: request timed out, possibly due to connection lost"],
  ["UNAVAILABLE", "etcdserver: request timed out, waiting for the applied index took too long"],
  ["RESOURCE_EXHAUSTED", "etcdserver: mvcc: database space exceeded"],
  ["RESOURCE_EXHAUSTED", "Received message larger than max (5000000 vs 4194304)"],
  ["DATA_LOSS", "etcdserver: corrupt cluster"],
  ["UNKNOWN", "raft proposal dropped"],
  ["UNIMPLEMENTED", "No message received"],
  ["PERMISSION_DENIED", "Protocol not secure enough"],
  ["UNAUTHENTICATED", "Received HTTP status code 401"],
  ["INVALID_ARGUMENT", "something that etcd never says"],
  ["UNREADABLE_ANSWER", "the answer has no header"],
])("a write that ended with %s %s is in doubt", (code, message) => {
  expect(outcomeOf({ code, message, ...sent }, false)).toEqual({
    type: "info",
    error: { code, message, definite: false },
  });
});

test("unavailable is a fail only if no connection was ever made", () => {
  const failure = {
    code: "UNAVAILABLE",
    message: "No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1",
  };
  expect(outcomeOf({ ...failure, connected: false }, false).type).toBe("fail");
  expect(outcomeOf({ ...failure, connected: true }, false).type).toBe("info");
});

test("without a connection a deadline is in doubt all the same", () => {
  expect(
    outcomeOf({ code: "DEADLINE_EXCEEDED", message: "no answer within 1000 ms", connected: false }, false).type,
  ).toBe("info");
});

test.each(["DEADLINE_EXCEEDED", "CANCELLED", "UNAVAILABLE", "UNKNOWN", "UNREADABLE_ANSWER"])(
  "a read that ended with %s is a fail",
  (code) => {
    expect(outcomeOf({ code, message: "whatever", connected: true }, true)).toEqual({
      type: "fail",
      error: { code, message: "whatever", definite: true },
    });
  },
);

test("the text must match from end to end, and each row says why", () => {
  expect(
    outcomeOf({ code: "NOT_FOUND", message: "etcdserver: requested lease not found, perhaps", connected: true }, false)
      .type,
  ).toBe("info");
  for (const row of definiteErrors) expect(row.why).not.toBe("");
});
