import type { Reporter, TestModule } from "vitest/node";

/** Ends a test run with what was skipped and why, and with the one counting line that CI reads. */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const reasons = new Map<string, string[]>();
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    for (const module of modules) {
      if (module.state() === "failed" && [...module.children.allTests("failed")].length === 0) failed++;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") passed++;
        else if (result.state === "failed") failed++;
        else {
          skipped++;
          const reason = ("note" in result ? result.note : undefined) ?? "no reason given";
          reasons.set(reason, [...(reasons.get(reason) ?? []), `${module.relativeModuleId} > ${test.fullName}`]);
        }
      }
    }
    if (skipped > 0) {
      console.log("\nSkipped here:");
      for (const [reason, tests] of reasons) {
        console.log(`  ${reason}`);
        for (const test of tests) console.log(`    - ${test}`);
      }
    }
    console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  }
}
