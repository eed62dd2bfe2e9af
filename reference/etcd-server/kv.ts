import type {
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  TxnRequest,
  TxnResponse,
} from "../../api/etcd/gen/rpc.ts";
import type { ApplyError, ApplyResult, Response } from "../apply/types.ts";
import { RpcError } from "./errors.ts";
import type { Member } from "./member.ts";
import { completed } from "./response-header.ts";
import { checkDelete, checkPut, checkRange, checkTxn, isReadOnly, isSerializable } from "./validate.ts";

/** etcdserverpb.KV, without a transport. Each method rejects with an RpcError that says what etcd says. */
export class KvHandlers {
  readonly #member: Member;

  constructor(member: Member) {
    this.#member = member;
  }

  async range(request: RangeRequest): Promise<RangeResponse> {
    checkRange(request);
    if (!request.serializable) await this.#member.linearizable();
    return completed(this.#member, orThrow(this.#member.machine.range(request)));
  }

  async put(request: PutRequest): Promise<PutResponse> {
    checkPut(request);
    return completed(this.#member, messageOf("put", await this.#member.propose({ put: request })));
  }

  async deleteRange(request: DeleteRangeRequest): Promise<DeleteRangeResponse> {
    checkDelete(request);
    return completed(this.#member, messageOf("deleteRange", await this.#member.propose({ deleteRange: request })));
  }

  async txn(request: TxnRequest): Promise<TxnResponse> {
    checkTxn(request, this.#member.config.maxTxnOps);
    if (isReadOnly(request)) {
      if (!isSerializable(request)) await this.#member.linearizable();
      return completed(this.#member, orThrow(this.#member.machine.readTxn(request)));
    }
    return completed(this.#member, messageOf("txn", await this.#member.propose({ txn: request })));
  }

  async compact(request: CompactionRequest): Promise<CompactionResponse> {
    const message = messageOf("compaction", await this.#member.propose({ compaction: request }));
    if (request.physical) await this.#member.compacted();
    return completed(this.#member, message);
  }
}

function orThrow<T extends object>(answer: T | ApplyError): T {
  if ("code" in answer && "message" in answer) throw new RpcError(answer.code, answer.message);
  return answer;
}

type MessageOf<K extends Response["kind"]> = Extract<
  Response,
  { readonly kind: K; readonly message: unknown }
>["message"];

/** The response of a request that went through the log; throws the error that applying it met. */
export function messageOf<K extends Exclude<Response["kind"], "none">>(kind: K, result: ApplyResult): MessageOf<K> {
  if (result.error) throw new RpcError(result.error.code, result.error.message);
  if (result.response?.kind !== kind)
    throw new Error(`a ${kind} request was answered by ${result.response?.kind ?? "nothing"}`);
  return result.response.message as MessageOf<K>;
}
