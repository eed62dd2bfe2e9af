export type { CheckFileOptions, FileVerdict } from "./check-file.ts";
export { checkFile } from "./check-file.ts";
export { readHistoryFile } from "./read-history.ts";
