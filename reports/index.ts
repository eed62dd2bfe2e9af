import type { History } from "knossos-ts";
import type { Artifact, Run } from "../harness/run.ts";
import { html } from "./html/page.ts";
import { junit } from "./junit.ts";
import { markdown } from "./markdown.ts";

/** A run as read back from its directory, and its folded history -> files to put there. Needs no target. */
export type Reporter = (run: Run, history: History) => Iterable<Artifact>;

export const reporters: readonly Reporter[] = [html, junit, markdown];
