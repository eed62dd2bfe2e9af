import { Attributes } from "../../api/etcd/gen/membership.ts";
import type { Backend, BackendWrite } from "../mvcc/backend.ts";

const VERSION_KEY = Buffer.from("clusterVersion");

/** What the log says of the cluster beside its membership: each member's name and client URLs, and the version all agreed on. */
export class MemberDirectory {
  readonly attributes = new Map<bigint, Attributes>();
  clusterVersion: string | undefined;

  static load(backend: Backend): MemberDirectory {
    const directory = new MemberDirectory();
    for (const [key, value] of backend.range("members", new Uint8Array(0), undefined)) {
      if (VERSION_KEY.equals(key)) directory.clusterVersion = Buffer.from(value).toString();
      else directory.attributes.set(Buffer.from(key).readBigUInt64BE(), Attributes.decode(value));
    }
    return directory;
  }

  publish(member: bigint, attributes: Attributes, batch: BackendWrite[]): void {
    this.attributes.set(member, attributes);
    const key = Buffer.alloc(8);
    key.writeBigUInt64BE(member);
    batch.push({ op: "put", bucket: "members", key, value: Attributes.encode(attributes).finish() });
  }

  setClusterVersion(version: string, batch: BackendWrite[]): void {
    this.clusterVersion = version;
    batch.push({ op: "put", bucket: "members", key: VERSION_KEY, value: Buffer.from(version) });
  }
}
