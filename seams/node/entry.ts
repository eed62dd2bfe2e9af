/**
 * The URL of a worker's or child's entry beside the caller: `entryUrl(import.meta.url, "./worker")`.
 * The sources run as `.ts`, the package as `.js`, and the compiler leaves `new URL("./x.ts", ...)` as it is.
 */
export function entryUrl(callerUrl: string, relativeWithoutSuffix: string): URL {
  const suffix = new URL(callerUrl).pathname.endsWith(".ts") ? ".ts" : ".js";
  return new URL(relativeWithoutSuffix + suffix, callerUrl);
}
