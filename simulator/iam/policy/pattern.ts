/**
 * Wildcards: `*` is any run of characters, `?` is one. A pattern is its parts between the stars, of which the first and
 * the last are fixed to the ends of a text and each other one is looked for behind the one before. The leftmost place is
 * always as good as any later one, so there is nothing to go back to, and no regular expression: at most
 * |pattern| × |text| steps, whatever a policy's author wrote, and 32 of them at once where there are question marks.
 */
import { findWithHoles, HOLE } from "./pattern-search.js";
import type { ResolvedPiece } from "./template.js";

/** A test of one actual value. */
export type Test = (actual: string) => boolean;

/** A part between two stars. */
interface Part {
  readonly text: string;
  /** The code units of the text with `HOLE` where any will do; undefined if it has none. */
  readonly units: Int32Array | undefined;
}

/** A test whether a text matches the pieces as a whole. */
export function compilePattern(pieces: readonly ResolvedPiece[]): Test {
  const parts = splitAtStars(pieces);
  const [first, last] = [parts[0], parts.at(-1)];
  if (first === undefined || last === undefined) throw new TypeError("unreachable: a pattern has a part");
  if (parts.length === 1) return (actual) => actual.length === first.text.length && matchesAt(first, actual, 0);
  const between = parts.slice(1, -1).filter(({ text }) => text !== "");
  return (actual) => matchesAll(actual, { first, between, last });
}

/** The same for a text without variables. */
export const compileGlob = (text: string): Test => compilePattern([{ kind: "pattern", text }]);

function splitAtStars(pieces: readonly ResolvedPiece[]): readonly Part[] {
  const parts: Part[] = [];
  let [text, holes]: [string, number[]] = ["", []];
  for (const piece of pieces) {
    const [head = "", ...tail] = piece.kind === "pattern" ? piece.text.split("*") : [piece.text];
    const add = (more: string): void => {
      if (piece.kind === "pattern") for (const at of questionMarks(more)) holes.push(text.length + at);
      text += more;
    };
    add(head);
    for (const more of tail) {
      parts.push(partOf(text, holes));
      [text, holes] = ["", []];
      add(more);
    }
  }
  return [...parts, partOf(text, holes)];
}

function* questionMarks(text: string): Iterable<number> {
  for (let at = text.indexOf("?"); at >= 0; at = text.indexOf("?", at + 1)) yield at;
}

function partOf(text: string, holes: readonly number[]): Part {
  if (holes.length === 0) return { text, units: undefined };
  const units = new Int32Array(text.length);
  for (let i = 0; i < units.length; i++) units[i] = text.charCodeAt(i);
  for (const at of holes) units[at] = HOLE;
  return { text, units };
}

interface Parts {
  readonly first: Part;
  readonly between: readonly Part[];
  readonly last: Part;
}

function matchesAll(text: string, { first, between, last }: Parts): boolean {
  const end = text.length - last.text.length;
  if (end < first.text.length || !matchesAt(first, text, 0) || !matchesAt(last, text, end)) return false;
  let from = first.text.length;
  for (const part of between) {
    const at = part.units === undefined ? text.indexOf(part.text, from) : findWithHoles(part.units, text, from);
    if (at < 0 || at + part.text.length > end) return false;
    from = at + part.text.length;
  }
  return true;
}

function matchesAt({ text: wanted, units }: Part, text: string, at: number): boolean {
  return units === undefined
    ? text.startsWith(wanted, at)
    : units.every((unit, i) => unit === HOLE || unit === text.charCodeAt(at + i));
}
