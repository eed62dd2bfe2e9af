/** What a person sees while a run goes on. Everything goes to stderr; it draws only on a terminal. */
export interface Progress {
  /** A phase begins: `start`, `load`, `recover`, `judge`... */
  phase(name: string): void;
  /** A few times a second during the load. */
  status(status: Status): void;
  /** One sentence worth keeping on the screen. */
  note(sentence: string): void;
}

export interface Status {
  readonly operationsPerSecond: number;
  readonly ok: number;
  readonly errors: number;
  readonly fault: string | undefined;
  readonly leftMs: number;
}

export const silent: Progress = { phase: () => {}, status: () => {}, note: () => {} };
