import type { EtcdInput, EtcdOutput } from "knossos-ts";
import type { Outcome } from "../client.ts";
import type { Fault, ProbeReading } from "../fault.ts";
import type { EtcdClient } from "../suite.ts";
import type { Target } from "../target.ts";

/** A target without processes, for the tests of the runner: healthy, and it remembers that it was disposed of. */
export class FakeTarget implements Target {
  readonly name = "fake";
  readonly nodes = ["n1", "n2", "n3"].map((name) => ({
    name,
    directClientAddress: `${name}:1`,
    directPeerAddress: `${name}:2`,
    dataDir: "",
    logFile: "",
  }));
  disposed = false;
  has = (): boolean => true;
  start = async (): Promise<void> => {};
  endpoint = (node: string): string => `${node}:1`;
  view = async () => ({
    nodes: this.nodes.map(({ name }) => ({ node: name, running: true, reachable: true, leader: name === "n1" })),
    leader: "n1",
  });
  versions = async () => ({ fake: "1" });
  pid = (): undefined => undefined;
  restart = async (): Promise<void> => {};
  exited = async () => ({ code: 0, signal: null });
  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
  }
}

/** Answers every operation from a function. */
export function fakeClient(
  answer: (input: EtcdInput, signal: AbortSignal) => Promise<Outcome<EtcdOutput>>,
): EtcdClient {
  return {
    invoke: answer,
    async *open() {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** What a fake fault was asked to do, in order. */
export interface FaultLog {
  readonly calls: string[];
}

const shows: ProbeReading = { holds: true, text: "as it should be" };

/** A fault that behaves, unless `overrides` say otherwise. */
export function fakeFault(name: string, log: FaultLog, overrides: Partial<Fault> = {}): Fault {
  return {
    name,
    summary: name,
    envelope: "within",
    needs: [],
    plan: () => "leader",
    resolve: (_plan, view) => view.leader ?? "nobody",
    on: (resolved) => [resolved as string],
    undo: (_context, resolved) => ({ restart: resolved }),
    inject: async () => void log.calls.push(`inject ${name}`),
    probe: async (_context, _resolved, phase) => (log.calls.push(`probe ${phase}`), shows),
    heal: async () => void log.calls.push(`heal ${name}`),
    ...overrides,
  };
}
