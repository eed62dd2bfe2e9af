import type { Suite } from "../harness/suite.ts";
import { kv } from "./etcd/kv.ts";
import { lease } from "./etcd/lease.ts";
import { lock } from "./etcd/lock.ts";
import { watchCompacted } from "./etcd/watch-compacted.ts";
import { watch } from "./etcd/watch.ts";

/** Every suite, by name. */
export const suiteCatalogue: readonly Suite[] = [kv, lease, lock, watch, watchCompacted];

/** What `seatrial run` tries when no suite is named. */
export const defaultSuites: readonly string[] = [kv.name, watch.name, lease.name];
