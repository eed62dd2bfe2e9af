import { pureRules } from "../rules.ts";
import type { ConfChange, Message, NodeId, PureRules, RaftStatus } from "../types.ts";
import { Cluster, link, nodeId, usualTuning, type ClusterOptions } from "./cluster.ts";
import type { Member } from "./member.ts";
import { describeEntry, describeMessage, describeRole, describeStatus, text } from "./words.ts";

/**
 * Runs a story: paragraphs of `#` comments and of commands, each group of commands followed by `----` and what it shows.
 * Returns the same story with what it shows now, so that comparing and rewriting are one operation.
 */
export function runTranscript(story: string): string {
  const stage = new Stage();
  const paragraphs = story.trim().split(/\n\s*\n/);
  const told: string[] = [];
  for (const paragraph of paragraphs) {
    const lines = paragraph.split("\n");
    if (lines.every((line) => line.startsWith("#"))) {
      told.push(paragraph);
      continue;
    }
    const end = lines.indexOf("----");
    const commands = end < 0 ? lines : lines.slice(0, end);
    const shown = commands.filter((line) => !line.startsWith("#")).flatMap((line) => stage.run(line));
    told.push([...commands, "----", ...(shown.length === 0 ? ["(nothing)"] : shown)].join("\n"));
  }
  return `${told.join("\n\n")}\n`;
}

/** Longer than any story needs: two members that never stop answering each other end here. */
const MAX_ROUNDS = 200;

class Stage {
  #cluster: Cluster | undefined;
  #events: string[] = [];
  readonly #roles = new Map<NodeId, string>();
  readonly #mustSee = new Map<string, number>();
  #violationTold = false;

  run(line: string): string[] {
    this.#events = [];
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? "");
    const [command = "", ...rest] = words;
    if (command === "members") this.#begin(rest);
    else this.#perform(command, rest, line);
    this.#tellChanges();
    return this.#events;
  }

  get cluster(): Cluster {
    if (this.#cluster === undefined) throw new Error("a story begins with `members`, as in `members 1 2 3`");
    return this.#cluster;
  }

  /** members 1 2 3 [learners 4] [spares 5] [no-pre-vote] [no-check-quorum] [append-bytes N] [inflight N] [uncommitted-bytes N] [broken RULE] */
  #begin(words: readonly string[]): void {
    const ids: Record<string, number[]> = { members: [], learners: [], spares: [] };
    let tuning: ClusterOptions["tuning"] = usualTuning;
    let rules: PureRules = pureRules;
    let list = "members";
    for (let i = 0; i < words.length; i++) {
      const word = words[i] ?? "";
      if (/^\d+$/.test(word)) ids[list]?.push(Number(word));
      else if (word in ids) list = word;
      else if (word === "no-pre-vote") tuning = { ...tuning, preVote: false };
      else if (word === "no-check-quorum") tuning = { ...tuning, checkQuorum: false };
      else if (word === "append-bytes") tuning = { ...tuning, maxBytesPerAppend: count(words[++i]) };
      else if (word === "inflight") tuning = { ...tuning, maxInflightAppends: count(words[++i]) };
      else if (word === "uncommitted-bytes") tuning = { ...tuning, maxUncommittedBytes: count(words[++i]) };
      else if (word === "broken") rules = { ...pureRules, [words[++i] ?? ""]: () => true };
      else throw new Error(`members: "${word}" is neither a number nor an option`);
    }
    this.#cluster = new Cluster({
      voters: ids["members"] ?? [],
      learners: ids["learners"] ?? [],
      spares: ids["spares"] ?? [],
      tuning,
      rules,
      // Member n waits n ticks longer than the least: stories need to know who loses patience first.
      random: (id) => ({ below: (bound) => Number(id) % bound }),
    });
    this.#cluster.onApplied = (member, entry) => this.#tellApplied(member.id, describeEntry(entry));
    this.#cluster.onRead = (member, state) => {
      const context = text(state.context);
      this.#events.push(`${member.id} may read ${context} at ${state.index}`);
      this.cluster.monitor.reads(member.id, state.index, (this.#mustSee.get(context) ?? 0) as typeof state.index);
    };
    for (const member of this.#cluster.members.values()) this.#roles.set(member.id, this.#roleOf(member));
  }

  #perform(command: string, words: readonly string[], line: string): void {
    const perform = this.#commands[command];
    if (perform === undefined)
      throw new Error(
        `"${line}": no command is called "${command}"; there are ${Object.keys(this.#commands).join(", ")}`,
      );
    perform(words);
    this.cluster.reportLostSnapshots();
  }

  readonly #commands: Record<string, (words: readonly string[]) => void> = {
    campaign: ([id]) => this.#member(id).act((core) => core.campaign()),
    /** tick ID|all [TIMES] */
    tick: ([id, times]) => {
      for (let i = 0; i < (times === undefined ? 1 : count(times)); i++) {
        for (const member of this.#some(id)) member.act((core) => core.tick());
      }
    },
    propose: ([id, ...values]) =>
      this.#member(id).act((core) => {
        for (const value of values) {
          if (core.propose(new TextEncoder().encode(value)) === "dropped") this.#events.push(`${id} drops "${value}"`);
        }
      }),
    read: ([id, ...contexts]) =>
      this.#member(id).act((core) => {
        for (const context of contexts) {
          this.#mustSee.set(context, this.cluster.monitor.readMustSee);
          core.readIndex(new TextEncoder().encode(context));
        }
      }),
    /** change ID addVoter|addLearner|remove ID */
    change: ([id, type, node]) =>
      this.#member(id).act((core) => {
        const change = { type: changeType(type), node: this.#member(node).id };
        if (core.proposeConfChange(change, new Uint8Array(0)) === "dropped")
          this.#events.push(`${id} drops the change`);
      }),
    transfer: ([id, to]) => this.#member(id).act((core) => core.transferLeader(this.#member(to).id)),
    unreachable: ([id, to]) => this.#member(id).act((core) => core.reportUnreachable(this.#member(to).id)),
    /** deliver [FROM->TO] [TYPE]: what is in flight now, not what comes of it */
    deliver: (words) => this.#eachInFlight(words, (position) => this.cluster.deliver(position)),
    drop: (words) => this.#eachInFlight(words, (position) => this.cluster.drop(position), "lost: "),
    duplicate: ([on]) => {
      for (const message of this.#onLink(on)) this.cluster.duplicate(this.cluster.inFlight.indexOf(message));
    },
    reverse: ([on]) => {
      const reversed = this.#onLink(on).reverse();
      this.cluster.inFlight = [...this.cluster.inFlight.filter((m) => link(m) !== on), ...reversed];
    },
    settle: () => this.#settle(),
    network: () => this.#events.push(...this.cluster.inFlight.map(describeMessage)),
    /** cut ID: both ways to everyone; cut FROM->TO: that link */
    cut: (words) => this.cluster.cut(words.flatMap((word) => this.#links(word))),
    heal: () => this.cluster.cuts.clear(),
    crash: ([id]) => this.#member(id).crash(),
    restart: ([id]) => this.#member(id).restart(),
    disk: ([id, speed]) => {
      this.#member(id).isDiskSlow = speed === "slow";
    },
    persist: ([id, writes]) => this.#member(id).persist(writes === undefined ? Infinity : count(writes)),
    compact: ([id]) => this.#member(id).compact(),
    log: ([id]) => this.#events.push(`${id} holds ${this.#member(id).log.map(describeEntry).join(" ") || "nothing"}`),
    status: (words) => {
      for (const member of words.length === 0
        ? this.cluster.members.values()
        : words.map((word) => this.#member(word))) {
        this.#events.push(member.core === undefined ? `${member.id} is down` : describeStatus(member.core.status()));
      }
    },
  };

  #member(word: string | undefined): Member {
    return this.cluster.member(nodeId(count(word)));
  }

  #some(word: string | undefined): readonly Member[] {
    return word === "all" ? [...this.cluster.members.values()] : [this.#member(word)];
  }

  #links(word: string): string[] {
    if (word.includes("->")) return [word];
    return [...this.cluster.members.keys()].flatMap((other) => [`${word}->${other}`, `${other}->${word}`]);
  }

  #onLink(name: string | undefined): Message[] {
    return this.cluster.inFlight.filter((m) => link(m) === name);
  }

  #eachInFlight(words: readonly string[], move: (position: number) => Message | undefined, prefix = ""): void {
    const wanted = this.cluster.inFlight.filter((m) => words.every((word) => word === link(m) || word === m.type));
    for (const message of wanted) {
      this.#events.push(prefix + describeMessage(message));
      move(this.cluster.inFlight.indexOf(message));
    }
  }

  #settle(): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.cluster.inFlight.length === 0) return;
      for (let left = this.cluster.inFlight.length; left > 0; left--) this.cluster.deliver(0);
      this.cluster.reportLostSnapshots();
    }
    throw new Error(`settle: messages are still going round after ${MAX_ROUNDS} rounds`);
  }

  #tellApplied(id: NodeId, entry: string): void {
    const last = this.#events.at(-1);
    if (last?.startsWith(`${id} applies `) === true) this.#events[this.#events.length - 1] = `${last} ${entry}`;
    else this.#events.push(`${id} applies ${entry}`);
  }

  #roleOf(member: Member): string {
    const status: RaftStatus | undefined = member.core?.status();
    return status === undefined ? "is down" : describeRole(status);
  }

  #tellChanges(): void {
    for (const member of this.cluster.members.values()) {
      const role = this.#roleOf(member);
      if (this.#roles.get(member.id) !== role) this.#events.push(`${member.id} ${role}`);
      this.#roles.set(member.id, role);
    }
    const { violation } = this.cluster.monitor;
    if (violation !== undefined && !this.#violationTold) {
      this.#violationTold = true;
      this.#events.push(`VIOLATION of ${violation.property}: ${violation.what}`);
    }
  }
}

function count(word: string | undefined): number {
  if (word === undefined || !/^\d+$/.test(word)) throw new Error(`"${word ?? ""}" should be a number`);
  return Number(word);
}

function changeType(word: string | undefined): ConfChange["type"] {
  if (word === "addVoter" || word === "addLearner" || word === "remove") return word;
  throw new Error(`"${word ?? ""}" should be addVoter, addLearner or remove`);
}
