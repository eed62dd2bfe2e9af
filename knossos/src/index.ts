export type { Json } from "./json.ts";
export type { Finding, Proof, Validity, Verdict } from "./verdict.ts";
export { combine } from "./verdict.ts";
export type { History, HistoryEvent, Nanoseconds, Operation, OperationError, Stream, StreamMessage } from "./history.ts";
export { HISTORY_FORMAT } from "./history.ts";
export type { Model } from "./model.ts";
export type * from "./models/etcd-types.ts";
