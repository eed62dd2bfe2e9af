import type { Operation } from "../history.ts";
import type {
  EtcdAnswer,
  EtcdInput,
  EtcdKv,
  EtcdOutput,
  EtcdRange,
  EtcdRangeAnswer,
  EtcdRequest,
  EtcdTxn,
} from "../models/etcd-types.ts";

export type EtcdOperation = Operation<EtcdInput, EtcdOutput>;

/** A KV request: what may stand in a txn. */
export function isRequest(input: EtcdInput): input is EtcdRequest {
  return input.f === "put" || input.f === "delete" || input.f === "range" || input.f === "txn";
}

/** True if it can change nothing, as etcd decides it: a txn that nests another one is a write to it, whatever is inside. */
export function isReadOnly(input: EtcdInput): boolean {
  if (input.f === "range") return true;
  return input.f === "txn" && [...input.success, ...input.failure].every((request) => request.f === "range");
}

/**
 * True if it is answered by one member from what it has, without asking the leader: a serializable range, or a read-only txn
 * all of whose ranges are serializable, also one that has no ranges at all (etcd's isTxnSerializable).
 */
export function isSerializable(input: EtcdInput): boolean {
  if (input.f === "range") return input.serializable === true;
  return (
    input.f === "txn" &&
    [...input.success, ...input.failure].every((request) => request.f === "range" && request.serializable === true)
  );
}

/** True if the answer says that the store went on to a new revision. A lease-revoke's does not tell. */
export function wrote(output: EtcdOutput): boolean {
  switch (output.f) {
    case "put":
      return true;
    case "delete":
      return output.deleted > 0;
    case "txn":
      return output.answers.some(wrote);
    default:
      return false;
  }
}

/** The requests that ran, each with its answer, txns taken apart. */
export function* executed(
  request: EtcdRequest,
  answer: EtcdAnswer,
): Generator<readonly [Exclude<EtcdRequest, EtcdTxn>, EtcdAnswer]> {
  if (request.f !== "txn") {
    yield [request, answer];
    return;
  }
  if (answer.f !== "txn") return;
  const branch = answer.succeeded ? request.success : request.failure;
  for (let i = 0; i < branch.length; i++) {
    const part = branch[i];
    const partAnswer = answer.answers[i];
    if (part !== undefined && partAnswer !== undefined) yield* executed(part, partAnswer);
  }
}

/** All requests that may run, txns taken apart. */
export function* possible(request: EtcdRequest): Generator<Exclude<EtcdRequest, EtcdTxn>> {
  if (request.f !== "txn") {
    yield request;
    return;
  }
  for (const part of [...request.success, ...request.failure]) yield* possible(part);
}

/** Every key that an input names. */
export function* keysOfInput(input: EtcdInput): Generator<string> {
  if (!isRequest(input)) return;
  yield* keysOfRequest(input);
}

function* keysOfRequest(request: EtcdRequest): Generator<string> {
  if (request.f !== "txn") {
    yield request.key;
    return;
  }
  for (const compare of request.compare) yield compare.key;
  for (const part of request.success) yield* keysOfRequest(part);
  for (const part of request.failure) yield* keysOfRequest(part);
}

/** Every record that an answer holds. */
export function* recordsOf(output: EtcdOutput): Generator<EtcdKv> {
  if (output.f === "put" && output.prevKv !== undefined) yield output.prevKv;
  else if (output.f === "delete") yield* output.prevKvs ?? [];
  else if (output.f === "range") yield* output.kvs;
  else if (output.f === "txn") for (const answer of output.answers) yield* recordsOf(answer);
}

/** True if the answer names every key of the range. */
export function isWhole(request: EtcdRange, answer: EtcdRangeAnswer): boolean {
  return (
    request.countOnly !== true &&
    !answer.more &&
    !request.minModRevision &&
    !request.maxModRevision &&
    !request.minCreateRevision &&
    !request.maxCreateRevision
  );
}
