import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { Duplex } from "node:stream";
import type { Clock, DurationMs } from "../../seams/clock.ts";
import { UsageError } from "../errors.ts";
import type { FaultChannel } from "../target.ts";
import { memberEnvironment } from "./binary.ts";
import { READY } from "./etcd-flags.ts";
import { FAULT_FD, faultChannelOver } from "./fault-channel.ts";
import { endProcess, type ProcessJournal, type RecordedProcess } from "./process-journal.ts";
import { processStartTime } from "./process-identity.ts";

export interface MemberCommand {
  readonly node: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly faultChannel: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

const LOOK_EVERY_MS: DurationMs = 20;
const TAIL_BYTES = 64 * 1024;

/** One run of a member, from its start to its exit. A restarted member is another one of these. */
export class MemberProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly faultChannel: FaultChannel | undefined;
  readonly #recorded: RecordedProcess | undefined;
  readonly #command: MemberCommand;
  readonly #clock: Clock;
  /** Where in the log this run's lines begin. */
  readonly #logFrom: number;
  #exit: Exit | undefined;

  private constructor(parts: {
    child: ChildProcess;
    pid: number;
    command: MemberCommand;
    clock: Clock;
    journal: ProcessJournal;
    logFrom: number;
  }) {
    const { child, pid, command, clock, journal } = parts;
    this.pid = pid;
    this.#command = command;
    this.#clock = clock;
    this.#logFrom = parts.logFrom;
    const started = processStartTime(pid);
    this.#recorded =
      started === undefined ? undefined : { node: command.node, pid, started, command: command.argv.join(" ") };
    if (this.#recorded !== undefined) journal.add(this.#recorded);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        journal.remove(pid);
        resolve(this.#exit);
      });
    });
    const socket = child.stdio[FAULT_FD];
    this.faultChannel = socket instanceof Duplex ? faultChannelOver(socket, command.node, clock) : undefined;
  }

  /**
   * Spawns in a session of its own, so that a Ctrl-C in the terminal reaches the harness alone. Output goes to the file directly: a member
   * whose harness was killed must not die of a broken pipe at its next line. Rejects with UsageError if the program cannot be run.
   */
  static async start(command: MemberCommand, clock: Clock, journal: ProcessJournal): Promise<MemberProcess> {
    const [program, ...words] = command.argv;
    if (program === undefined) throw new Error("a member needs a program to run");
    const log = openSync(command.logFile, "a");
    try {
      const logFrom = fstatSync(log).size;
      const child = spawn(program, words, {
        detached: true,
        env: memberEnvironment({
          ...command.env,
          ...(command.faultChannel ? { SEATRIAL_FAULT_FD: String(FAULT_FD) } : {}),
        }),
        stdio: ["ignore", log, log, ...(command.faultChannel ? (["pipe"] as const) : [])],
      });
      const { pid } = child;
      if (pid !== undefined) return new MemberProcess({ child, pid, command, clock, journal, logFrom });
      const reason = await new Promise<Error>((resolve) => child.once("error", resolve));
      throw new UsageError(
        `${program} cannot be run (${"code" in reason ? String(reason.code) : reason.message}); check the path and the wrapper in front of it.`,
      );
    } finally {
      closeSync(log);
    }
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Resolves once it has said that it serves, has ended, or the time is over. */
  async settled(withinMs: DurationMs): Promise<"ready" | "exited" | "slow"> {
    const end = this.#clock.now() + withinMs;
    for (;;) {
      if (this.#exit !== undefined) return "exited";
      if (READY.test(this.said())) return "ready";
      if (this.#clock.now() >= end) return "slow";
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }

  /** What this run wrote to its log; the last part of it if that is long. */
  said(): string {
    const log = openSync(this.#command.logFile, "r");
    try {
      const size = fstatSync(log).size;
      const from = Math.max(this.#logFrom, size - TAIL_BYTES);
      const tail = Buffer.alloc(Math.max(0, size - from));
      return tail.toString("utf8", 0, readSync(log, tail, 0, tail.length, from));
    } finally {
      closeSync(log);
    }
  }

  /** Ends it, however it is: stopped, deaf, gone. */
  async end(): Promise<void> {
    if (this.#recorded !== undefined) await endProcess(this.#recorded, this.#clock);
    await this.exited;
  }

  /** For the harness's own last moment, when nothing can be awaited any more. */
  killNow(): void {
    if (
      this.#exit === undefined &&
      this.#recorded !== undefined &&
      processStartTime(this.pid) === this.#recorded.started
    )
      process.kill(this.pid, "SIGKILL");
  }
}
