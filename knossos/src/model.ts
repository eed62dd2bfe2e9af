/**
 * What an object may do, one operation at a time. States are immutable values.
 * `step` returns every state the object may be in after the operation took effect in `state` with output `output`;
 * none = impossible here. `output` undefined = the answer is unknown (info): the operation may have answered anything.
 */
export interface Model<S, I, O> {
  readonly name: string;
  init(initial?: unknown): S;
  step(state: S, input: I, output: O | undefined): readonly S[];
  hash(state: S): number;
  equal(a: S, b: S): boolean;
  /** Independent objects: operations with different names never influence each other. Absent = one object. */
  objectOf?(input: I): string | undefined;
  /** True if the operation can change no state: whatever it answers, or, where `output` is given, when it answered that. */
  isReadOnly?(input: I, output?: O): boolean;
  describe(input: I, output: O | undefined): string;
  describeState(state: S): string;
}
