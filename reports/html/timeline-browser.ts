import type { TimelineData } from "./timeline.ts";

/** What this script uses of a browser; the page's own `window` and `document` fit. */
interface Painter {
  fillStyle: unknown;
  strokeStyle: unknown;
  lineWidth: number;
  globalAlpha: number;
  font: string;
  textBaseline: string;
  setTransform(a: number, b: number, c: number, d: number, e: number, f: number): void;
  setLineDash(dash: readonly number[]): void;
  clearRect(x: number, y: number, w: number, h: number): void;
  fillRect(x: number, y: number, w: number, h: number): void;
  strokeRect(x: number, y: number, w: number, h: number): void;
  fillText(text: string, x: number, y: number): void;
  measureText(text: string): { width: number };
}
interface Pointer {
  offsetX: number;
  offsetY: number;
  deltaY: number;
  key: string;
  buttons: number;
  movementX: number;
  preventDefault(): void;
}
interface Box {
  textContent: string | null;
  clientWidth: number;
  width: number;
  height: number;
  style: { height: string };
  getContext(kind: "2d"): Painter;
  addEventListener(name: string, listener: (event: Pointer) => void, options?: { passive: boolean }): void;
}
interface Page {
  getElementById(id: string): Box;
  querySelector(selector: string): Box;
  documentElement: unknown;
}
interface Host {
  devicePixelRatio: number;
  getComputedStyle(element: unknown): { getPropertyValue(name: string): string };
  addEventListener(name: string, listener: () => void): void;
  matchMedia(query: string): { addEventListener(name: string, listener: () => void): void };
}

/** Runs inside the report, from its own source text: it may use nothing but its two parameters. */
export function drawTimeline(host: Host, page: Page): void {
  const data = JSON.parse(page.getElementById("timeline-data").textContent ?? "") as TimelineData;
  const canvas = page.querySelector("#timeline canvas");
  const output = page.querySelector("#timeline output");
  const laneHeight = 20;
  const left = 150;
  const labelHeight = 13;
  let top = 26;
  let height = 0;
  const last = Math.max(...data.to, ...data.from, ...data.faults.map((fault) => fault.to), 1);
  let [from, to] = data.view;
  if (to <= from) [from, to] = [0, last];
  const isMarked = new Set(data.marked);
  const style = (name: string) => host.getComputedStyle(page.documentElement).getPropertyValue(name).trim();

  const x = (us: number) => left + ((us - from) / (to - from)) * (canvas.clientWidth - left);

  /** Each label in the first row where it covers no other. */
  const placeLabels = (pen: Painter) => {
    const ends: number[] = [];
    return data.faults.flatMap((fault) => {
      const a = Math.max(left, x(fault.from));
      const b = x(fault.to);
      if (b < left || a > canvas.clientWidth) return [];
      const label = `${fault.name} ${fault.on}`;
      const width = pen.measureText(label).width;
      const at = Math.max(left, Math.min(a + 3, canvas.clientWidth - width - 3));
      const free = ends.findIndex((end) => end < at);
      const row = free < 0 ? ends.length : free;
      ends[row] = at + width + 8;
      return [{ label, at, row, a, b }];
    });
  };

  const drawFaults = (pen: Painter, labels: ReturnType<typeof placeLabels>) => {
    for (const { label, at, row, a, b } of labels) {
      const y = 8 + row * labelHeight;
      pen.globalAlpha = 0.16;
      pen.fillStyle = style("--chart-fault");
      pen.fillRect(a, y - labelHeight / 2, Math.max(1, b - a), height);
      pen.globalAlpha = 1;
      pen.fillStyle = style("--text");
      pen.fillText(label, at, y);
    }
  };

  const drawOperation = (pen: Painter, at: number) => {
    const begin = data.from[at] ?? 0;
    const end = data.to[at] ?? -1;
    const a = Math.max(left, x(begin));
    const b = end < 0 ? canvas.clientWidth : x(end);
    if (b < left || a > canvas.clientWidth) return;
    const y = top + (data.lane[at] ?? 0) * laneHeight + 3;
    const outcome = data.outcome[at] ?? 0;
    const colour = style(outcome === 0 ? "--chart-ok" : outcome === 1 ? "--chart-fail" : "--chart-info");
    const width = Math.max(1.5, b - a);
    pen.fillStyle = colour;
    pen.strokeStyle = colour;
    if (outcome === 0) pen.fillRect(a, y, width, laneHeight - 6);
    else {
      pen.setLineDash(outcome === 2 ? [4, 3] : []);
      pen.strokeRect(a, y, width, laneHeight - 6);
      pen.setLineDash([]);
    }
    if (isMarked.has(at)) {
      pen.lineWidth = 3;
      pen.strokeStyle = style("--violated");
      pen.strokeRect(a - 1, y - 1, width + 2, laneHeight - 4);
      pen.lineWidth = 1;
    }
  };

  const draw = () => {
    const ratio = host.devicePixelRatio || 1;
    const font = "11px system-ui, sans-serif";
    const pen = canvas.getContext("2d");
    pen.font = font;
    const labels = placeLabels(pen);
    top = 18 + Math.max(1, ...labels.map(({ row }) => row + 1)) * labelHeight;
    height = top + data.lanes.length * laneHeight + 8;
    canvas.style.height = `${height}px`;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, canvas.clientWidth, height);
    pen.font = font;
    pen.textBaseline = "middle";
    drawFaults(pen, labels);
    // In doubt first: they reach to the edge and would cover what came after.
    for (const wanted of [2, 1, 0]) {
      for (let at = 0; at < data.op.length; at++) if (data.outcome[at] === wanted) drawOperation(pen, at);
    }
    pen.clearRect(0, top, left, height);
    pen.fillStyle = style("--text");
    data.lanes.forEach((name, lane) => pen.fillText(name, 4, top + lane * laneHeight + laneHeight / 2));
    pen.fillText(`${(from / 1e6).toFixed(3)} s to ${(to / 1e6).toFixed(3)} s`, 4, 8);
  };

  const zoom = (factor: number, around: number) => {
    const centre = from + ((around - left) / (canvas.clientWidth - left)) * (to - from);
    const span = Math.min(Math.max((to - from) * factor, 50), last * 1.05);
    const share = (centre - from) / (to - from);
    from = centre - share * span;
    to = from + span;
    draw();
  };
  const move = (share: number) => {
    const by = share * (to - from);
    from += by;
    to += by;
    draw();
  };
  const find = (px: number, py: number) => {
    const lane = Math.floor((py - top) / laneHeight);
    let best = -1;
    for (let at = 0; at < data.op.length; at++) {
      if (data.lane[at] !== lane) continue;
      const end = data.to[at] ?? -1;
      if (x(data.from[at] ?? 0) - 2 <= px && px <= (end < 0 ? Infinity : x(end)) + 2) best = at;
    }
    return best;
  };

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX);
    },
    { passive: false },
  );
  canvas.addEventListener("mousemove", (event) => {
    if (event.buttons === 1) return move(-event.movementX / (canvas.clientWidth - left));
    const at = find(event.offsetX, event.offsetY);
    output.textContent = at < 0 ? "" : (data.text[at] ?? "");
  });
  canvas.addEventListener("keydown", (event) => {
    const steps: Record<string, () => void> = {
      ArrowLeft: () => move(-0.2),
      ArrowRight: () => move(0.2),
      "+": () => zoom(0.7, canvas.clientWidth / 2),
      "=": () => zoom(0.7, canvas.clientWidth / 2),
      "-": () => zoom(1.4, canvas.clientWidth / 2),
      "0": () => {
        [from, to] = [0, last];
        draw();
      },
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    step();
  });
  host.addEventListener("resize", draw);
  host.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
}
