import type { Phase, ProbeReading } from "../harness/fault.ts";

export const holds = (text: string, figures?: ProbeReading["figures"]): ProbeReading => reading(true, text, figures);
export const fails = (text: string, figures?: ProbeReading["figures"]): ProbeReading => reading(false, text, figures);
export const cannotTell = (text: string, figures?: ProbeReading["figures"]): ProbeReading =>
  reading("inconclusive", text, figures);

export function reading(result: ProbeReading["holds"], text: string, figures?: ProbeReading["figures"]): ProbeReading {
  return { holds: result, text, ...(figures === undefined ? {} : { figures }) };
}

/** Only between inject and heal is the fault to be seen. */
export function wantsFault(phase: Phase): boolean {
  return phase === "during";
}
