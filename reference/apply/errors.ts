import type { ApplyError } from "./types.ts";

/**
 * etcd 3.6's errors as its clients see them: gRPC status code and text. Clients match on the text, so it is part of the interface.
 * The names follow `rpctypes`; the table is of facts, complete whether or not this store can already run into each of them.
 */
export const errors = {
  emptyKey: error(3, "etcdserver: key is not provided"),
  keyNotFound: error(3, "etcdserver: key not found"),
  valueProvided: error(3, "etcdserver: value is provided"),
  leaseProvided: error(3, "etcdserver: lease is provided"),
  tooManyOps: error(3, "etcdserver: too many operations in txn request"),
  duplicateKey: error(3, "etcdserver: duplicate key given in txn request"),
  invalidClientApiVersion: error(3, "etcdserver: invalid client api version"),
  invalidSortOption: error(3, "etcdserver: invalid sort option"),
  compacted: error(11, "etcdserver: mvcc: required revision has been compacted"),
  futureRev: error(11, "etcdserver: mvcc: required revision is a future revision"),
  noSpace: error(8, "etcdserver: mvcc: database space exceeded"),
  leaseNotFound: error(5, "etcdserver: requested lease not found"),
  leaseExist: error(9, "etcdserver: lease already exists"),
  leaseTtlTooLarge: error(11, "etcdserver: too large lease TTL"),
  watchCanceled: error(1, "etcdserver: watch canceled"),
  memberExist: error(9, "etcdserver: member ID already exist"),
  peerUrlExist: error(9, "etcdserver: Peer URLs already exists"),
  memberNotEnoughStarted: error(9, "etcdserver: re-configuration failed due to not enough started members"),
  memberBadUrls: error(3, "etcdserver: given member URLs are invalid"),
  memberNotFound: error(5, "etcdserver: member not found"),
  memberNotLearner: error(9, "etcdserver: can only promote a learner member"),
  learnerNotReady: error(9, "etcdserver: can only promote a learner member which is in sync with leader"),
  tooManyLearners: error(9, "etcdserver: too many learner members in cluster"),
  clusterIdMismatch: error(9, "etcdserver: cluster ID mismatch"),
  requestTooLarge: error(3, "etcdserver: request is too large"),
  requestTooManyRequests: error(8, "etcdserver: too many requests"),
  rootUserNotExist: error(9, "etcdserver: root user does not exist"),
  rootRoleNotExist: error(9, "etcdserver: root user does not have root role"),
  userAlreadyExist: error(9, "etcdserver: user name already exists"),
  userEmpty: error(3, "etcdserver: user name is empty"),
  userNotFound: error(9, "etcdserver: user name not found"),
  roleAlreadyExist: error(9, "etcdserver: role name already exists"),
  roleNotFound: error(9, "etcdserver: role name not found"),
  roleEmpty: error(3, "etcdserver: role name is empty"),
  authFailed: error(3, "etcdserver: authentication failed, invalid user ID or password"),
  permissionNotGiven: error(3, "etcdserver: permission not given"),
  permissionDenied: error(7, "etcdserver: permission denied"),
  roleNotGranted: error(9, "etcdserver: role is not granted to the user"),
  permissionNotGranted: error(9, "etcdserver: permission is not granted to the role"),
  authNotEnabled: error(9, "etcdserver: authentication is not enabled"),
  invalidAuthToken: error(16, "etcdserver: invalid auth token"),
  invalidAuthMgmt: error(3, "etcdserver: invalid auth management"),
  authOldRevision: error(3, "etcdserver: revision of auth store is old"),
  noLeader: error(14, "etcdserver: no leader"),
  notLeader: error(9, "etcdserver: not leader"),
  leaderChanged: error(14, "etcdserver: leader changed"),
  notCapable: error(9, "etcdserver: not capable"),
  stopped: error(14, "etcdserver: server stopped"),
  timeout: error(14, "etcdserver: request timed out"),
  timeoutDueToLeaderFail: error(14, "etcdserver: request timed out, possibly due to previous leader failure"),
  timeoutDueToConnectionLost: error(14, "etcdserver: request timed out, possibly due to connection lost"),
  timeoutWaitAppliedIndex: error(14, "etcdserver: request timed out, waiting for the applied index took too long"),
  unhealthy: error(14, "etcdserver: unhealthy cluster"),
  corrupt: error(15, "etcdserver: corrupt cluster"),
  notSupportedForLearner: error(9, "etcdserver: rpc not supported for learner"),
  badLeaderTransferee: error(9, "etcdserver: bad leader transferee"),
  wrongDowngradeVersionFormat: error(3, "etcdserver: wrong downgrade target version format"),
  invalidDowngradeTargetVersion: error(3, "etcdserver: invalid downgrade target version"),
  clusterVersionUnavailable: error(9, "etcdserver: cluster version not found during downgrade"),
  downgradeInProcess: error(9, "etcdserver: cluster has a downgrade job in progress"),
  noInflightDowngrade: error(9, "etcdserver: no inflight downgrade job"),
  canceled: error(1, "etcdserver: request canceled"),
  deadlineExceeded: error(4, "etcdserver: context deadline exceeded"),
} as const satisfies Record<string, ApplyError>;

export function isApplyError(answer: object): answer is ApplyError {
  return "code" in answer && "message" in answer;
}

function error(code: number, text: string): ApplyError {
  return Object.freeze({ code, message: text });
}
