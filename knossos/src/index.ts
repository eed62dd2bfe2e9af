export type { Json } from "./json.ts";
export type { Finding, Proof, Validity, Verdict } from "./verdict.ts";
export { combine } from "./verdict.ts";
export type {
  History,
  HistoryEvent,
  Nanoseconds,
  Operation,
  OperationError,
  Stream,
  StreamMessage,
} from "./history.ts";
export { HISTORY_FORMAT } from "./history.ts";
export type { Model } from "./model.ts";
export type * from "./models/etcd-types.ts";
export { HistoryLineReader, MalformedHistory, foldHistory, parseHistoryLines } from "./fold.ts";
export type { CheckOptions } from "./etcd/check.ts";
export { checkEtcd } from "./etcd/check.ts";
export type { EtcdInitial } from "./etcd/problem.ts";
export type { LeaseOptions } from "./lease.ts";
export { checkLease } from "./lease.ts";
export { checkLock } from "./lock.ts";
export { checkWatches } from "./watch/check.ts";
export type { LinearizabilityOptions } from "./engine/linearizability.ts";
export { checkLinearizable } from "./engine/linearizability.ts";
export { MODELS, judge } from "./judge.ts";
export type { Format, ReadOptions } from "./formats/detect.ts";
export { FORMATS, detectFormat, parseHistory } from "./formats/detect.ts";
export { casRegister, register } from "./models/register.ts";
export { kv } from "./models/kv.ts";
export { multiRegister } from "./models/multi-register.ts";
export { counter } from "./models/counter.ts";
export type { EtcdState } from "./models/etcd.ts";
export { etcd } from "./models/etcd.ts";
