/** The table of the measurement. */
import type { Comparison } from "./comparison.js";
import { BOUND, isOverBound } from "./comparison.js";

const HEADINGS = [
  "RUN",
  "OBJECTS",
  "REQUESTS",
  "AUDITED",
  "GENERATE",
  "DECRYPT",
  "SET UP",
  "PER MILLION",
  "USD PER MILLION",
  "OF UNCACHED",
];

export function formatComparisons(comparisons: readonly Comparison[]): string {
  const rows = [HEADINGS, ...comparisons.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) => {
      const aligned = cells.map((cell, column) => align(cell, widths[column] ?? 0, column === 0));
      return aligned.join("  ").trimEnd();
    })
    .join("\n");
}

const align = (cell: string, width: number, left: boolean): string =>
  left ? cell.padEnd(width) : cell.padStart(width);

function cellsOf(comparison: Comparison): string[] {
  const { run, outcome, requests, callsPerMillion, pricePerMillion } = comparison;
  const { GenerateDataKey = 0, Decrypt = 0 } = outcome.calls;
  const setUp = Object.values(outcome.setUp).reduce((sum, count) => sum + count, 0);
  return [
    run.title,
    ...[outcome.encrypted, requests, outcome.auditLines - outcome.refused, GenerateDataKey, Decrypt, setUp].map(String),
    callsPerMillion.toFixed(0),
    pricePerMillion.toFixed(4),
    ratioText(comparison),
  ];
}

function ratioText(comparison: Comparison): string {
  const { run, ratio } = comparison;
  if (ratio === undefined) return "not judged";
  const text = ratio > 0.1 ? ratio.toFixed(2) : `1/${Math.floor(1 / ratio)}`;
  return run.kind === "branch" && isOverBound(comparison) ? `${text}, bound 1/${1 / BOUND}: OVER` : text;
}
