/** Something that will happen at a simulated time. Ordered by time, then by the order in which it was scheduled. */
export interface ScheduledEvent {
  readonly timeUs: number;
  readonly sequence: number;
  readonly label: string;
  /** undefined once it was cancelled or its owner died. */
  run: (() => void) | undefined;
}

/** A binary min-heap; the order is total, so that equal times never depend on the heap's shape. */
export class EventHeap {
  readonly #events: ScheduledEvent[] = [];

  get size(): number {
    return this.#events.length;
  }

  peek(): ScheduledEvent | undefined {
    return this.#events[0];
  }

  push(event: ScheduledEvent): void {
    const events = this.#events;
    let i = events.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = events[parent];
      if (above === undefined || !before(event, above)) break;
      events[i] = above;
      i = parent;
    }
    events[i] = event;
  }

  pop(): ScheduledEvent | undefined {
    const events = this.#events;
    const top = events[0];
    const last = events.pop();
    if (top === undefined || last === undefined || top === last) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const left = events[child];
      if (left === undefined) break;
      const right = events[child + 1];
      const least = right !== undefined && before(right, left) ? right : left;
      if (least === right) child++;
      if (!before(least, last)) break;
      events[i] = least;
      i = child;
    }
    events[i] = last;
    return top;
  }
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.sequence < b.sequence);
}
