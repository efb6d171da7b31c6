/**
 * Wildcards: `*` is any run of characters, `?` is one. A pattern is its parts between the stars, of which the first and
 * the last are fixed to the ends of a text and each other one is looked for behind the one before. The leftmost place is
 * always as good as any later one, so there is nothing to go back to, and no regular expression: at most
 * |pattern| × |text| steps, whatever a policy's author wrote.
 */
import type { ResolvedPiece } from "./template.js";
import { literalText } from "./template.js";

/** A test of one actual value. */
export type Test = (actual: string) => boolean;

/** A part between two stars; at `holes` any character will do. */
interface Part {
  readonly text: string;
  readonly holes: ReadonlySet<number>;
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
  if (!pieces.some(({ kind, text }) => kind === "pattern" && /[*?]/.test(text))) {
    return [{ text: literalText(pieces), holes: NO_HOLES }];
  }
  const parts: Part[] = [];
  let [text, holes] = ["", new Set<number>()];
  const endPart = (): void => {
    parts.push({ text, holes: holes.size === 0 ? NO_HOLES : holes });
    [text, holes] = ["", new Set<number>()];
  };
  for (const { character, isWildcard } of charactersOf(pieces)) {
    if (isWildcard && character === "*") endPart();
    else {
      if (isWildcard) holes.add(text.length);
      text += character;
    }
  }
  endPart();
  return parts;
}

const charactersOf = (pieces: readonly ResolvedPiece[]) =>
  pieces.flatMap(({ kind, text }) =>
    text.split("").map((character) => ({
      character,
      isWildcard: kind === "pattern" && (character === "*" || character === "?"),
    })),
  );

const NO_HOLES: ReadonlySet<number> = new Set();

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
    const at = find(part, text, from);
    if (at < 0 || at + part.text.length > end) return false;
    from = at + part.text.length;
  }
  return true;
}

function matchesAt({ text: wanted, holes }: Part, text: string, at: number): boolean {
  if (holes.size === 0) return text.startsWith(wanted, at);
  for (let i = 0; i < wanted.length; i++) if (wanted[i] !== text[at + i] && !holes.has(i)) return false;
  return true;
}

function find(part: Part, text: string, from: number): number {
  if (part.holes.size === 0) return text.indexOf(part.text, from);
  for (let at = from; at + part.text.length <= text.length; at++) if (matchesAt(part, text, at)) return at;
  return -1;
}
