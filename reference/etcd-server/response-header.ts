import type { ResponseHeader } from "../../api/etcd/gen/rpc.ts";
import type { Member } from "./member.ts";

/**
 * Adds who answers to an applied response. Its revision stays the one at which it was applied ("the key-value store revision when the
 * request was applied"): by the time of the answer other writes may have made more.
 */
export function completed<T extends { header: ResponseHeader | undefined }>(member: Member, message: T): T {
  const revision = message.header?.revision ?? 0n;
  message.header = revision === 0n ? member.header() : { ...member.header(0), revision };
  return message;
}
