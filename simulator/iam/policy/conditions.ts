/**
 * Condition blocks (IAM User Guide, "IAM JSON policy elements: Condition" and "Conditions with multiple context keys or
 * values"), compiled when the policy is put. Within a block everything must hold; of one key's wanted values any may
 * match, for a negated operator none.
 *
 * - A key that the request does not have: no operator holds, but the negated ones do, and those with IfExists.
 * - ForAllValues: every value of the request must match, and so it holds where there is none. ForAnyValue: one must, and so
 *   it does not hold where there is none. An empty text is no value to either.
 * - Without a set operator, of a key with several values any may match; for a negated operator every one must.
 * - A tag or a pair of the encryption context has one value. It has several where names differ only by case, for which AWS
 *   publishes no rule. Here an Allow must hold for each of them and a Deny for one, so that nobody gains by a second name.
 * - A wanted value whose policy variable has no value matches nothing, and so a negated operator holds ("IAM policy elements:
 *   Variables and tags", "Policy variables with no value").
 */
import { malformedPolicy } from "../../errors.js";
import type { Operator } from "./operators.js";
import { OPERATORS } from "./operators.js";
import type { Test } from "./pattern.js";
import type { Piece, PolicyVersion, ResolvedPiece } from "./template.js";
import { isResolved, parseTemplate, resolvePieces } from "./template.js";
import type { ConditionValues } from "./values.js";
import { foldedKey, isSingleValued } from "./values.js";

/** The block as it stands in the policy: operator → key → wanted values. */
export type ConditionBlock = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** One operator on one key. */
export interface Condition {
  /** With its prefix and suffix, as written. */
  readonly operator: string;
  readonly key: string;
  readonly wanted: readonly string[];
  readonly holds: (values: ConditionValues) => boolean;
}

/** The statement that a block stands in. */
interface Context {
  readonly effect: "Allow" | "Deny";
  readonly version: PolicyVersion;
}

/** Compiles a block. @throws AwsError MalformedPolicyDocumentException */
export function compileConditions(block: ConditionBlock, context: Context): readonly Condition[] {
  return Object.entries(block).flatMap(([operator, keys]) => {
    if (operator !== "Null") parseOperator(operator); // for what it refuses where there is no key
    return Object.entries(keys).map(([key, wanted]) => compileCondition({ operator, key, wanted }, context));
  });
}

type Written = Omit<Condition, "holds">;

/** An operator's name taken apart. */
interface Comparison {
  readonly operator: Operator;
  readonly setOperator: string | undefined;
  readonly ifExists: boolean;
}

function compileCondition(written: Written, { effect, version }: Context): Condition {
  const { operator: name, wanted } = written;
  const key = foldedKey(written.key);
  if (name === "Null") return { ...written, holds: compileNull(key, wanted) };
  const comparison = parseOperator(name);
  const compare = isSingleValued(key) ? compareEach(effect) : compareAll;
  const testsFor = compileTests(comparison.operator, wanted, version);
  const holds = (values: ConditionValues): boolean => {
    const actual = values.get(key) ?? [];
    if (actual.length === 0 && comparison.ifExists) return true;
    return compare(actual, testsFor(values, actual), comparison);
  };
  return { ...written, holds };
}

function parseOperator(name: string): Comparison {
  const parts = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(name);
  const operator = OPERATORS.get(parts?.[2] ?? "");
  if (operator === undefined) throw malformedPolicy(`Invalid Condition type : ${name}.`);
  return { operator, setOperator: parts?.[1], ifExists: parts?.[3] !== undefined };
}

type Compare = (actual: readonly string[], tests: readonly Test[], comparison: Comparison) => boolean;

const compareAll: Compare = (actual, tests, { operator, setOperator }) => {
  const matches = (value: string): boolean => tests.some((test) => test(value)) !== operator.negated;
  if (setOperator === "ForAllValues") return actual.every((value) => value === "" || matches(value));
  if (setOperator === "ForAnyValue") return actual.some((value) => value !== "" && matches(value));
  return operator.negated ? actual.every(matches) : actual.some(matches);
};

/** Of a key that has one value. */
const compareEach =
  (effect: Context["effect"]): Compare =>
  (actual, tests, comparison) => {
    if (actual.length === 0) return compareAll(actual, tests, comparison);
    const holds = (value: string): boolean => compareAll([value], tests, comparison);
    return effect === "Allow" ? actual.every(holds) : actual.some(holds);
  };

/** The tests of the wanted values that can match one of a request's values. */
function compileTests(operator: Operator, wanted: readonly string[], version: PolicyVersion) {
  const parsed = wanted.map((value) => parseTemplate(value, operator.takesVariables ? version : "2008-10-17"));
  if (parsed.every(isResolved)) {
    const tests = parsed.map(operator.make);
    return () => tests;
  }
  for (const pieces of parsed) operator.make(placeholders(pieces));
  return (values: ConditionValues, actual: readonly string[]) => {
    const longest = 2 * actual.reduce((length, value) => Math.max(length, value.length), 0); // lower case can be longer
    return parsed.flatMap((pieces) => {
      const resolved = resolvePieces(pieces, values, longest);
      return resolved === undefined ? [] : [operator.make(resolved)];
    });
  };
}

/** A text with variables must be well formed whatever their values: it is refused now, and not when it is asked. */
const placeholders = (pieces: readonly Piece[]): readonly ResolvedPiece[] =>
  pieces.map((piece) => (piece.kind === "variable" ? { kind: "literal", text: "" } : piece));

/** `true`: the key is not there. */
function compileNull(key: string, wanted: readonly string[]): Condition["holds"] {
  const absent = wanted.map((text) => {
    if (!/^(true|false)$/i.test(text)) throw malformedPolicy("The Null condition takes true or false.");
    return text.toLowerCase() === "true";
  });
  return (values) => absent.includes((values.get(key)?.length ?? 0) === 0);
}
