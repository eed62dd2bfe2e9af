/** The etcd release whose behaviour this store has. */
export const ETCD_VERSION = "3.6.14";
export const CLUSTER_VERSION = "3.6.0";
export const STORAGE_VERSION = "3.6.0";
