/** How commands lay out what they found: aligned lines for people, JSON for machines. */
import type { Io } from "./command.js";

/** One line: a name and its value; an empty name continues the line before. */
export type Line = readonly [name: string, value: string];

/** Lines with their values in one column. */
export function layOut(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd()).join("\n");
}

/** Prints `report` as JSON on one line, or `text`. */
export function print(io: Io, json: boolean, report: unknown, text: () => string): void {
  io.stdout(`${json ? printableJson(report) : text()}\n`);
}

/** JSON whose strings have their control characters escaped as well: JSON.stringify leaves U+0080 and above as they are. */
function printableJson(value: unknown): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/\p{C}/gu, (character) => character.split("").map(escaped).join(""));
}

/** `text` with control characters escaped: what comes from a file must not drive the terminal. */
export const printable = (text: string): string =>
  text.replace(/\p{C}/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);

/** A span of time in the two units that matter: `3 h 12 min`, `4 d 2 h`. */
export function formatSeconds(seconds: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
  ] as const;
  for (const [i, [unit, size]] of units.entries()) {
    if (seconds < size) continue;
    const [smaller, smallerSize] = units[i + 1] ?? ["s", 1];
    const rest = Math.floor((seconds % size) / smallerSize);
    return `${Math.floor(seconds / size)} ${unit}${rest === 0 ? "" : ` ${rest} ${smaller}`}`;
  }
  return `${Number(seconds.toFixed(3))} s`;
}
