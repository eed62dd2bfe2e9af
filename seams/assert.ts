/** An invariant that does not hold: the process that meets one stops. Never caught to carry on. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** States an invariant of this program. For input that others control, return an error instead. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new InvariantViolation(invariant);
}
