/**
 * The texts of a policy that stand for many: wildcards (`*` is any run of characters, `?` is one) and policy variables
 * (IAM User Guide, "IAM policy elements: Variables and tags"). A variable is replaced by the request's value before the
 * text is compared; a wildcard within that value is an ordinary character.
 */
import { malformedPolicy } from "../../errors.js";
import type { ConditionValues } from "./values.js";
import { foldedKey } from "./values.js";

/** The versions of the policy language; variables came with the later one and are ordinary characters in the other. */
export type PolicyVersion = "2008-10-17" | "2012-10-17";

/** A part of a text: with wildcards in force, without, or a variable. */
export type Piece =
  | { readonly kind: "pattern" | "literal"; readonly text: string }
  | { readonly kind: "variable"; readonly key: string; readonly otherwise: string | undefined };
export type ResolvedPiece = Exclude<Piece, { readonly kind: "variable" }>;

/** The characters that have a variable of their own, for where they would mean something else. */
const SPECIAL = new Set(["*", "?", "$"]);

/** Takes a text apart. @throws AwsError MalformedPolicyDocumentException for what begins as a variable and is none */
export function parseTemplate(text: string, version: PolicyVersion): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  while (version === "2012-10-17") {
    const start = text.indexOf("${", at);
    if (start < 0) break;
    const end = text.indexOf("}", start);
    if (end < 0) throw malformedPolicy(`The policy variable in ${text} is not closed.`);
    if (start > at) pieces.push({ kind: "pattern", text: text.slice(at, start) });
    pieces.push(parseVariable(text.slice(start + 2, end)));
    at = end + 1;
  }
  if (at < text.length || pieces.length === 0) pieces.push({ kind: "pattern", text: text.slice(at) });
  return pieces;
}

/** What stands between the braces: a special character, or a condition key with or without a default value. */
function parseVariable(text: string): Piece {
  if (SPECIAL.has(text)) return { kind: "literal", text };
  const comma = text.indexOf(",");
  const key = (comma < 0 ? text : text.slice(0, comma)).trim();
  if (!/^[^\s:]+:\S/.test(key)) throw malformedPolicy(`The policy variable \${${text}} is not valid.`);
  if (comma < 0) return { kind: "variable", key: foldedKey(key), otherwise: undefined };
  const quoted = /^'([^']*)'$/.exec(text.slice(comma + 1).trim());
  if (quoted === null) throw malformedPolicy(`The default value in \${${text}} must be in single quotes.`);
  return { kind: "variable", key: foldedKey(key), otherwise: quoted[1] ?? "" };
}

/** Whether the pieces are the same for every request. */
export const isResolved = (pieces: readonly Piece[]): pieces is readonly ResolvedPiece[] =>
  pieces.every(({ kind }) => kind !== "variable");

/**
 * The pieces with the request's values in place. Undefined if they then match nothing: a variable has no value, or more
 * than one, or the values together are longer than `longest`, which is the most that there is to compare with.
 */
export function resolvePieces(
  pieces: readonly Piece[],
  values: ConditionValues,
  longest: number,
): readonly ResolvedPiece[] | undefined {
  const resolved: ResolvedPiece[] = [];
  let room = longest;
  for (const piece of pieces) {
    if (piece.kind !== "variable") resolved.push(piece);
    else {
      const text = variableValue(piece.key, piece.otherwise, values);
      room -= text?.length ?? 0;
      if (text === undefined || room < 0) return undefined;
      resolved.push({ kind: "literal", text });
    }
  }
  return resolved;
}

function variableValue(key: string, otherwise: string | undefined, values: ConditionValues): string | undefined {
  const [value, ...more] = values.get(key) ?? [];
  if (more.length > 0) return undefined;
  return value ?? otherwise;
}

/** The text of pieces that are compared character by character. */
export const literalText = (pieces: readonly ResolvedPiece[]): string => pieces.map(({ text }) => text).join("");
