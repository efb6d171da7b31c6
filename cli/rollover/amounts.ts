/** Amounts and tables for the reports of a rollover. */
import { printable } from "../report.js";
import type { Amount, FailedFile } from "./survey.js";

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, bytes === 1 ? "byte" : "bytes"];
  for (const larger of UNITS) {
    if (value < 1024) break;
    [value, unit] = [value / 1024, larger];
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}

export const formatAmount = ({ messages, bytes }: Amount): string =>
  `${messages} ${messages === 1 ? "message" : "messages"}, ${formatBytes(bytes)}`;

/** Columns as wide as they need to be; those of `numbers` to the right. The last one is not filled up. */
export function table(rows: readonly (readonly string[])[], numbers: readonly number[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const cell = (text: string, column: number): string => {
    const width = widths[column] ?? 0;
    return numbers.includes(column) ? text.padStart(width) : text.padEnd(width);
  };
  return rows
    .map((cells) =>
      cells
        .map((text, column) => cell(printable(text), column))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const MAX_LISTED = 100;

/** A line for each file, up to a hundred. */
export function listFiles(files: readonly FailedFile[]): readonly string[] {
  const lines = files
    .slice(0, MAX_LISTED)
    .map(({ file, code, message }) => `  ${printable(file)}: ${code}: ${printable(message)}`);
  const more = files.length - lines.length;
  return more > 0 ? [...lines, `  and ${more} more; --json tells all`] : lines;
}
