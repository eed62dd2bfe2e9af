/** Histories count nanoseconds. */
export const NANOSECONDS_PER_SECOND = 1e9;

export function seconds(nanoseconds: number): string {
  return `${(nanoseconds / NANOSECONDS_PER_SECOND).toFixed(3)} s`;
}
