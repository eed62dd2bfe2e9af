/**
 * A level that someone waits on: `wait` resolves at the next `wake` after it was called, or rejects once the signal is aborted.
 * The caller looks at the state again after it (level, not edge), so a wake that nobody waits for need not be remembered.
 */
export class Wake {
  #waiters: Set<() => void> = new Set();

  wake(): void {
    if (this.#waiters.size === 0) return;
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const waiter of waiters) waiter();
  }

  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        this.#waiters.delete(onWake);
        reject(signal?.reason as Error);
      };
      const onWake = () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      this.#waiters.add(onWake);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}
