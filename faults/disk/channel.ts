import type { FaultContext } from "../../harness/fault.ts";
import type { FaultChannelAnswer, FaultChannelCommand, LaunchSpec, Target } from "../../harness/target.ts";

/** Disk faults need the channel that only a member started with it has. */
export const withFaultChannel = (spec: LaunchSpec): LaunchSpec => ({ ...spec, faultChannel: true });

/** Sends one command to a member; throws if it answers that it could not. */
export async function tell(target: Target, node: string, command: FaultChannelCommand): Promise<FaultChannelAnswer> {
  if (target.faultChannel === undefined) throw new Error(`${target.name} has no fault channel`);
  const answer = await target.faultChannel(node).request(command);
  if (!answer.ok)
    throw new Error(`${node} refused ${JSON.stringify(command)}: ${answer.error ?? "it did not say why"}`);
  return answer;
}

/** One fdatasync on the disk of the member's log, timed by the member itself. An injected errno is an answer, not an error. */
export async function timedDatasync({ target }: FaultContext, node: string): Promise<FaultChannelAnswer> {
  if (target.faultChannel === undefined) throw new Error(`${target.name} has no fault channel`);
  return target.faultChannel(node).request({ probe: "datasync" });
}
