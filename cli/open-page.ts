import { spawn } from "node:child_process";

/** Opens a file in the user's browser; does nothing under CI or without a terminal. */
export function openPage(path: string): void {
  if (!mayOpen(process.env, process.stdout.isTTY)) return;
  const program = process.platform === "darwin" ? "open" : "xdg-open";
  const child = spawn(program, [path], { stdio: "ignore", detached: true });
  child.on("error", () => process.stderr.write(`seatrial: ${program} is not there to open ${path}.\n`));
  child.unref();
}

export function mayOpen(environment: Readonly<Record<string, string | undefined>>, terminal: boolean): boolean {
  return terminal && (environment["CI"] ?? "") === "";
}
