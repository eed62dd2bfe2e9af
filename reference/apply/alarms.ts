import {
  AlarmMember,
  AlarmRequest_AlarmAction as Action,
  AlarmType,
  type AlarmRequest,
} from "../../api/etcd/gen/rpc.ts";
import type { Backend, BackendWrite } from "../mvcc/backend.ts";

/** Alarms that members have raised. While one is active the whole cluster refuses what would make it worse. */
export class Alarms {
  readonly #active = new Map<string, AlarmMember>();

  static load(backend: Backend): Alarms {
    const alarms = new Alarms();
    for (const [key] of backend.range("alarm", new Uint8Array(0), undefined)) {
      const alarm = AlarmMember.decode(key);
      alarms.#active.set(nameOf(alarm), alarm);
    }
    return alarms;
  }

  /** In the order they were raised; after a restart in that of their encoding. */
  get active(): readonly AlarmMember[] {
    return [...this.#active.values()];
  }

  has(type: AlarmType): boolean {
    for (const { alarm } of this.#active.values()) if (alarm === type) return true;
    return false;
  }

  /** Answers with the alarms that the request named or changed. */
  handle(request: AlarmRequest, batch: BackendWrite[]): AlarmMember[] {
    const alarm: AlarmMember = { memberID: request.memberID, alarm: request.alarm };
    const name = nameOf(alarm);
    const known = this.#active.get(name);
    if (request.action === Action.GET)
      return this.active.filter((active) => request.alarm === AlarmType.NONE || active.alarm === request.alarm);
    if (request.action === Action.ACTIVATE) {
      if (request.alarm === AlarmType.NONE) return [];
      if (known === undefined) {
        this.#active.set(name, alarm);
        batch.push({ op: "put", bucket: "alarm", key: AlarmMember.encode(alarm).finish(), value: new Uint8Array(0) });
      }
      return [known ?? alarm];
    }
    if (request.action !== Action.DEACTIVATE || known === undefined) return [];
    this.#active.delete(name);
    batch.push({ op: "delete", bucket: "alarm", key: AlarmMember.encode(known).finish() });
    return [known];
  }
}

function nameOf(alarm: AlarmMember): string {
  return `${alarm.alarm}/${alarm.memberID}`;
}
