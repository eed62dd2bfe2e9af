/** What Ctrl-C asks for: the first time to stop in good order, the second time to end at once. */
export interface Interrupts extends Disposable {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly stop: AbortSignal;
}

/** The second signal ends the process; what must still happen then is for its `exit` listeners (the target kills its members there). */
export function listenForInterrupts(onFirst: (signal: string) => void): Interrupts {
  const controller = new AbortController();
  const heard = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) process.exit(3);
    onFirst(signal);
    controller.abort(new Error(`${signal} was received`));
  };
  process.on("SIGINT", heard);
  process.on("SIGTERM", heard);
  return {
    stop: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", heard);
      process.off("SIGTERM", heard);
    },
  };
}
