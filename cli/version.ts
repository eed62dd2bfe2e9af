import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder with package.json: the checkout's, or the installed package's. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json")) || folder === dirname(folder)) return folder;
  }
}

export function version(): string {
  const manifest = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as {
    readonly version: string;
  };
  return manifest.version;
}

/** The checkout's commit, with `+` after it if files were changed; `v<version>` in an installed package. */
export function commit(): string {
  const root = packageRoot();
  if (!existsSync(join(root, ".git"))) return `v${version()}`;
  try {
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    return (
      git("rev-parse", "--short=12", "HEAD") + (git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+")
    );
  } catch {
    return `v${version()}`;
  }
}

/** How this program is called, for the commands that it prints. */
export function programName(): string {
  return existsSync(join(packageRoot(), "cli", "main.ts")) ? "bin/seatrial" : "npx seatrial";
}
