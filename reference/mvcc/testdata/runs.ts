/** Run count of a property test: small by default; SEATRIAL_RUNS multiplies it. */
export function runs(count: number): { numRuns: number } {
  return { numRuns: count * Number(process.env["SEATRIAL_RUNS"] ?? 1) };
}
