import type { Progress, Status } from "../harness/runner/progress.ts";

const PHASES: Readonly<Record<string, string>> = {
  start: "starting the cluster",
  setup: "preparing the suites",
  load: "clients at work",
  recover: "faults healed, waiting for the cluster to recover",
  finish: "last reads",
  judge: "judging the history",
  report: "writing the report",
};

/** On a terminal one line is redrawn; elsewhere (a file, CI) each phase and each fault is a line of its own. */
export function progressOn(stream: NodeJS.WriteStream): Progress & { end(): void } {
  return stream.isTTY ? drawn(stream) : plain(stream);
}

function plain(stream: NodeJS.WriteStream): Progress & { end(): void } {
  return {
    phase: (name) => stream.write(`${PHASES[name] ?? name}\n`),
    status: () => {},
    note: (sentence) => stream.write(`  ${sentence}\n`),
    end: () => {},
  };
}

function drawn(stream: NodeJS.WriteStream): Progress & { end(): void } {
  const erase = () => stream.write("\r\x1b[2K");
  let line = "";
  const draw = () => {
    erase();
    // A line that wraps could not be erased again.
    stream.write(line.slice(0, Math.max(20, (stream.columns || 80) - 1)));
  };
  return {
    phase(name) {
      line = PHASES[name] ?? name;
      draw();
    },
    status(status) {
      line = statusLine(status);
      draw();
    },
    note(sentence) {
      erase();
      stream.write(`  ${sentence}\n`);
      draw();
    },
    end: erase,
  };
}

function statusLine(status: Status): string {
  const left = status.leftMs > 0 ? `${Math.ceil(status.leftMs / 1000)} s left` : "last faults";
  const fault = status.fault === undefined ? "no fault" : `fault: ${status.fault}`;
  return `${status.operationsPerSecond} ops/s  ${status.ok} ok  ${status.errors} errors  ${fault}  ${left}`;
}
