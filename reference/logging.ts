import pino from "pino";
import type { Log, LogLevel } from "./etcd-server/config.ts";
import type { LogLevelName } from "./etcd-server/flags.ts";

/** etcd's (zap's) names for what pino has, and the other way. */
const PINO_LEVELS: Readonly<Record<LogLevelName, string>> = {
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  dpanic: "error",
  panic: "fatal",
  fatal: "fatal",
};

/** JSON lines in etcd's shape: `level`, `ts`, `caller`, `msg`, then the fields. Written at once: a killed member keeps its last line. */
export function createLog(level: LogLevelName, fds: readonly number[]): Log {
  const streams = fds.map((fd) => ({
    level: PINO_LEVELS[level] as pino.Level,
    stream: pino.destination({ fd, sync: true }),
  }));
  const logger = pino(
    {
      level: PINO_LEVELS[level],
      messageKey: "msg",
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      // pino's own ISO time, under etcd's key.
      timestamp: () => pino.stdTimeFunctions.isoTime().replace('"time"', '"ts"'),
    },
    streams.length === 1 && streams[0] ? streams[0].stream : pino.multistream(streams),
  );
  return (at: LogLevel, msg, fields = {}) => {
    logger[at]({ caller: "store/member.ts", ...fields }, msg);
  };
}
