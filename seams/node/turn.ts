/**
 * Calls `act` when everything that has arrived by now has been handed to its handlers: after the poll phase of libuv's loop.
 * A hundred requests that came together are so seen together, at no cost in time to a lone one.
 */
export function afterInput(act: () => void): void {
  setImmediate(act);
}
