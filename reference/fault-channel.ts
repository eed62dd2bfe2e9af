import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { Clock, DurationMs } from "../seams/clock.ts";
import type { Disk, File } from "../seams/disk.ts";

/** One line in: `{"id": 1, "disk": "datasync", "delayMs": 200}`. One line out: `{"id": 1, "ok": true}`. */
const Command = z.union([
  z.strictObject({
    id: z.number(),
    disk: z.enum(["datasync", "write"]),
    delayMs: z.number().min(0).max(600_000),
    errno: z.enum(["EIO", "ENOSPC"]).optional(),
  }),
  z.strictObject({ id: z.number(), disk: z.literal("heal") }),
  z.strictObject({ id: z.number(), probe: z.literal("datasync") }),
  z.strictObject({ id: z.number(), clock: z.literal("offset"), wallMs: z.number().min(-1e12).max(1e12) }),
  z.strictObject({ id: z.number(), probe: z.literal("clock") }),
]);
type FaultCommand = z.infer<typeof Command>;

interface Answer {
  readonly ok: boolean;
  readonly elapsedMs?: number;
  readonly errno?: string;
  readonly wallMs?: number;
  readonly error?: string;
}

interface DiskFault {
  readonly delayMs: DurationMs;
  readonly errno?: "EIO" | "ENOSPC" | undefined;
}

/**
 * The harness's hand inside a member: it slows or breaks what the log's disk does and moves the wall clock. It exists only when the
 * process that started this one passed an open socket; nothing on the network reaches it.
 */
export class FaultChannel {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly #realDisk: Disk;
  readonly #realClock: Clock;
  readonly #scratch: string;
  #datasync: DiskFault | undefined;
  #write: DiskFault | undefined;
  #offsetMs = 0;

  /** @param scratch path of a file for probes, in the data directory. */
  constructor(disk: Disk, clock: Clock, scratch: string) {
    this.#realDisk = disk;
    this.#realClock = clock;
    this.#scratch = scratch;
    this.disk = {
      ...disk,
      open: async (path, options) => this.#wrap(await disk.open(path, options)),
    };
    this.clock = {
      now: () => clock.now(),
      sleep: (ms, signal) => clock.sleep(ms, signal),
      wallMs: () => clock.wallMs() + this.#offsetMs,
    };
  }

  /** Answers commands on an inherited descriptor until it closes. */
  serve(fd: number): void {
    const socket = new Socket({ fd, readable: true, writable: true });
    // The harness is gone: nobody is left to heal a fault, so it ends here.
    const over = () => {
      this.#datasync = undefined;
      this.#write = undefined;
      this.#offsetMs = 0;
    };
    socket.on("error", over);
    socket.once("close", over);
    socket.unref();
    createInterface({ input: socket }).on("line", (line) => {
      void this.answer(line).then((answer) => socket.write(`${answer}\n`));
    });
  }

  /** One line for one line; never rejects. */
  async answer(line: string): Promise<string> {
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      return JSON.stringify({ id: null, ok: false, error: "the command is not JSON" });
    }
    const id = (parsed as { id?: unknown } | null)?.id ?? null;
    const command = Command.safeParse(parsed);
    if (!command.success) return JSON.stringify({ id, ok: false, error: "the command is not one of this channel's" });
    return JSON.stringify({ id, ...(await this.#execute(command.data)) });
  }

  async #execute(command: FaultCommand): Promise<Answer> {
    if ("disk" in command) {
      if (command.disk === "heal") {
        this.#datasync = undefined;
        this.#write = undefined;
      } else {
        const fault: DiskFault = { delayMs: command.delayMs, errno: command.errno };
        if (command.disk === "datasync") this.#datasync = fault;
        else this.#write = fault;
      }
      return { ok: true };
    }
    if ("clock" in command) {
      this.#offsetMs = command.wallMs;
      return { ok: true, wallMs: this.clock.wallMs() };
    }
    if (command.probe === "clock") return { ok: true, wallMs: this.clock.wallMs() };
    return await this.#probeDatasync();
  }

  /** A real write and datasync, through the same wrapping as the log's. */
  async #probeDatasync(): Promise<Answer> {
    let file: File | undefined;
    const begin = this.#realClock.now();
    try {
      file = await this.disk.open(this.#scratch, { create: true });
      await file.writeAt(Buffer.from("probe"), 0);
      const before = this.#realClock.now();
      await file.datasync();
      return { ok: true, elapsedMs: this.#realClock.now() - before };
    } catch (error) {
      return {
        ok: true,
        elapsedMs: this.#realClock.now() - begin,
        errno: (error as { code?: string }).code ?? String(error),
      };
    } finally {
      await file?.close();
      await this.#realDisk.remove(this.#scratch).catch(() => undefined);
    }
  }

  #wrap(file: File): File {
    const suffer = async (fault: DiskFault | undefined, call: string): Promise<void> => {
      if (fault === undefined) return;
      if (fault.delayMs > 0) await this.#realClock.sleep(fault.delayMs);
      if (fault.errno !== undefined)
        throw Object.assign(new Error(`${fault.errno}: injected, ${call}`), { code: fault.errno });
    };
    return {
      readAt: (into, position) => file.readAt(into, position),
      writeAt: async (data, position) => {
        await suffer(this.#write, "write");
        await file.writeAt(data, position);
      },
      allocate: async (sizeBytes) => {
        await suffer(this.#write, "write");
        await file.allocate(sizeBytes);
      },
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      datasync: async () => {
        await suffer(this.#datasync, "fdatasync");
        await file.datasync();
      },
      size: () => file.size(),
      close: () => file.close(),
    };
  }
}
