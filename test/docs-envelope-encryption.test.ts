/** docs/envelope-encryption.md: its table and plot are those of the outcomes beside it, which hold what is promised of them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BOUND, compareRuns } from "../bench/measure/comparison.js";
import { drawPlot } from "../bench/measure/plot.js";
import { formatComparisons } from "../bench/measure/report.js";
import { readResults } from "../bench/measure/results.js";
import { projectRoot } from "./support/project.js";

const file = (name: string): string => join(projectRoot, "docs", name);
const read = (name: string): string => readFileSync(file(name), "utf8");
const comparisons = compareRuns(await readResults(file("kms-calls.json")));

describe("docs/envelope-encryption.md", () => {
  it("shows the table of docs/kms-calls.json", () => {
    expect(read("envelope-encryption.md")).toContain(`\`\`\`text\n${formatComparisons(comparisons)}\n\`\`\``);
  });

  it("shows the plot of docs/kms-calls.json", () => {
    expect(read("envelope-encryption.md")).toContain("](kms-calls.svg)");
    expect(read("kms-calls.svg")).toBe(drawPlot(comparisons));
  });

  it("branch keys needed a thousandth of the calls at most, for a million objects that were each decided about", () => {
    const branch = comparisons.filter(({ run }) => run.kind === "branch");
    expect(branch.length).toBeGreaterThan(0);
    for (const { outcome, requests, ratio } of branch) {
      expect(outcome.encrypted).toBe(1_000_000);
      expect(outcome.auditLines - outcome.refused).toBe(requests);
      expect(ratio).toBeLessThanOrEqual(BOUND);
    }
  });
});
