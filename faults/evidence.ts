import type { Injection, ProbeReading } from "../harness/fault.ts";

/**
 * confirmed: well before, faulty during, well after. mismatch: it was well before, and the fault did not show or did not go away.
 * Where a probe could not tell, or nothing was well to begin with, nothing is proven either way.
 */
export function judge(
  before: ProbeReading,
  during: ProbeReading,
  healed: ProbeReading,
): Injection["evidence"]["result"] {
  if (before.holds !== true) return "inconclusive";
  if (during.holds === false || healed.holds === false) return "mismatch";
  return during.holds === true && healed.holds === true ? "confirmed" : "inconclusive";
}
