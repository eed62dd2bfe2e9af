import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import type { Random } from "../../seams/random.ts";

/** Ports held by us until `release`, so that nobody takes them while the members' command lines are made. */
export interface HeldPorts {
  readonly ports: readonly number[];
  release(): Promise<void>;
}

const LOWEST = 15_000;
const HIGHEST = 65_535;
const ATTEMPTS_PER_PORT = 200;

/**
 * Holds `count` free ports of 127.0.0.1 outside the range that the kernel gives to outgoing connections: within it, a client that keeps
 * dialling a member that is down may be given the member's own port, connect to itself and keep the port from the member.
 */
export async function holdPorts(count: number, random: Random): Promise<HeldPorts> {
  const free = portsForListening();
  const held: Server[] = [];
  const ports: number[] = [];
  const release = async () => {
    await Promise.all(held.splice(0).map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
  };
  for (let attempt = 0; ports.length < count; attempt++) {
    if (attempt > count * ATTEMPTS_PER_PORT) {
      await release();
      throw new Error(`no ${count} free ports on 127.0.0.1 after ${attempt} attempts`);
    }
    const port = free[random.below(free.length)];
    if (port === undefined || ports.includes(port)) continue;
    const server = await listen(port);
    if (server === undefined) continue;
    held.push(server);
    ports.push(port);
  }
  return { ports, release };
}

function portsForListening(): readonly number[] {
  const [low, high] = outgoingRange();
  const ports = Array.from({ length: HIGHEST - LOWEST + 1 }, (_, index) => LOWEST + index).filter(
    (port) => port < low || port > high,
  );
  // A kernel that gives all ports to outgoing connections leaves no choice.
  return ports.length >= 1000 ? ports : Array.from({ length: HIGHEST - LOWEST + 1 }, (_, index) => LOWEST + index);
}

/** ip(7) ip_local_port_range; Linux's default where it cannot be read. */
function outgoingRange(): readonly [number, number] {
  try {
    const [low, high] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number);
    if (low !== undefined && high !== undefined && Number.isInteger(low) && Number.isInteger(high)) return [low, high];
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
  return [32_768, 60_999];
}

/** undefined if the port is taken or not ours to take. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error) => {
      if ("code" in error && (error.code === "EADDRINUSE" || error.code === "EACCES")) resolve(undefined);
      else reject(error);
    });
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resolve(server));
  });
}
