import type { Entry, Message, RaftStatus } from "../types.ts";

/** The words in which transcripts speak of messages, entries and members. */
export function describeMessage(m: Message): string {
  const head = `${m.from}->${m.to} ${m.type}`;
  const inTerm = m.term === 0 ? "" : ` term ${m.term}`;
  switch (m.type) {
    case "append": {
      const entries = (m.entries ?? []).map(describeEntry).join(" ");
      return `${head}${inTerm} after ${m.index}/${m.logTerm}: ${entries === "" ? "nothing" : entries}, commit ${m.commit}`;
    }
    case "appendResponse":
      return m.reject === true
        ? `${head}${inTerm} refuses ${m.index}, try ${m.rejectHint}/${m.logTerm}`
        : `${head}${inTerm} has ${m.index}`;
    case "vote":
    case "preVote":
      return `${head}${inTerm} log ends at ${m.index}/${m.logTerm}${m.context === undefined ? "" : ` (${text(m.context)})`}`;
    case "voteResponse":
    case "preVoteResponse":
      return `${head}${inTerm} ${m.reject === true ? "no" : "yes"}`;
    case "heartbeat":
      return `${head}${inTerm} commit ${m.commit}${round(m)}`;
    case "heartbeatResponse":
      return `${head}${inTerm}${round(m)}`;
    case "snapshot":
      return `${head}${inTerm} at ${m.snapshot?.index}/${m.snapshot?.term}`;
    case "propose":
      return `${head} ${(m.entries ?? []).map((entry) => describeData(entry)).join(" ")}`;
    case "readIndex":
      return `${head} ${text(m.context)}`;
    case "readIndexResponse":
      return `${head}${inTerm} ${text(m.context)} at ${m.index}`;
    case "transferLeader":
    case "timeoutNow":
      return `${head}${inTerm}`;
  }
}

function round(m: Message): string {
  return m.context === undefined ? "" : `, round ${m.context.at(-1)}`;
}

export function describeEntry(entry: Entry): string {
  return `${entry.index}/${entry.term} ${describeData(entry)}`;
}

export function describeData(entry: Entry): string {
  if (entry.type === "confChange") return "membership";
  return entry.data.byteLength === 0 ? "no-op" : `"${text(entry.data)}"`;
}

export function describeRole(status: RaftStatus): string {
  if (status.role === "leader") return `leads term ${status.term}`;
  if (status.role === "follower")
    return `follows ${status.leader === 0n ? "nobody" : status.leader} in term ${status.term}`;
  return `is ${status.role} in term ${status.term}`;
}

export function describeStatus(status: RaftStatus): string {
  const { voters, learners } = status.confState;
  const members = `voters ${voters.join(" ")}${learners.length === 0 ? "" : `, learners ${learners.join(" ")}`}`;
  const progress = [...status.progress].map(([id, p]) => `\n  ${id}: ${p.state}, match ${p.match}, next ${p.next}`);
  return `${status.id} ${describeRole(status)}: log ${status.firstIndex}..${status.lastIndex}, commit ${status.commit}, applied ${status.applied}; ${members}${progress.join("")}`;
}

export function text(data: Uint8Array | undefined): string {
  return new TextDecoder().decode(data);
}
