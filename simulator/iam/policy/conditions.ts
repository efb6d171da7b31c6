/**
 * Condition blocks (IAM User Guide, "IAM JSON policy elements: Condition" and "Conditions with multiple context keys or
 * values"), compiled when the policy is put. Within a block everything must hold; of one key's wanted values any may
 * match, for a negated operator none.
 *
 * - A key that the request does not have: no operator holds, but the negated ones do, and those with IfExists.
 * - ForAllValues: every value of the request must match, and so it holds where there is none. ForAnyValue: one must, and so
 *   it does not hold where there is none. An empty text is no value to either.
 * - Without a set operator, of a key with several values any may match; for a negated operator every one must.
 * - A policy variable without a value: the condition does not hold, and neither does the statement.
 */
import { malformedPolicy } from "../../errors.js";
import type { Operator } from "./operators.js";
import { OPERATORS } from "./operators.js";
import type { Test } from "./pattern.js";
import type { Piece, PolicyVersion, ResolvedPiece } from "./template.js";
import { isResolved, parseTemplate, resolvePieces } from "./template.js";
import type { ConditionValues } from "./values.js";

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

/** Compiles a block. @throws AwsError MalformedPolicyDocumentException */
export function compileConditions(block: ConditionBlock, version: PolicyVersion): readonly Condition[] {
  return Object.entries(block).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, wanted]) => compileCondition({ operator, key, wanted }, version)),
  );
}

type Written = Omit<Condition, "holds">;

/** An operator's name taken apart. */
interface Comparison {
  readonly operator: Operator;
  readonly setOperator: string | undefined;
  readonly ifExists: boolean;
}

function compileCondition(written: Written, version: PolicyVersion): Condition {
  const { operator: name, key, wanted } = written;
  if (wanted.length === 0) throw malformedPolicy(`The condition ${name} on ${key} has no value.`);
  if (!/^[^\s:]+:\S/.test(key)) {
    throw malformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
  }
  const lowerKey = key.toLowerCase();
  if (name === "Null") return { ...written, holds: compileNull(lowerKey, wanted) };
  const comparison = parseOperator(name);
  const testsFor = compileTests(comparison.operator, wanted, version);
  const holds = (values: ConditionValues): boolean => {
    const actual = values.get(lowerKey) ?? [];
    if (actual.length === 0 && comparison.ifExists) return true;
    const tests = testsFor(values);
    return tests !== undefined && compare(actual, tests, comparison);
  };
  return { ...written, holds };
}

function parseOperator(name: string): Comparison {
  const parts = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(name);
  const operator = OPERATORS.get(parts?.[2] ?? "");
  if (operator === undefined) throw malformedPolicy(`Invalid Condition type : ${name}.`);
  return { operator, setOperator: parts?.[1], ifExists: parts?.[3] !== undefined };
}

function compare(actual: readonly string[], tests: readonly Test[], { operator, setOperator }: Comparison): boolean {
  const matches = (value: string): boolean => tests.some((test) => test(value)) !== operator.negated;
  if (setOperator === "ForAllValues") return actual.every((value) => value === "" || matches(value));
  if (setOperator === "ForAnyValue") return actual.some((value) => value !== "" && matches(value));
  return operator.negated ? actual.every(matches) : actual.some(matches);
}

/** The tests of the wanted values for a request; undefined if a variable has no value in it. */
function compileTests(operator: Operator, wanted: readonly string[], version: PolicyVersion) {
  const parsed = wanted.map((value) => parseTemplate(value, operator.takesVariables ? version : "2008-10-17"));
  if (parsed.every(isResolved)) {
    const tests = parsed.map(operator.make);
    return () => tests;
  }
  for (const pieces of parsed) operator.make(placeholders(pieces));
  return (values: ConditionValues) => resolveTests(operator, parsed, values);
}

/** A text with variables must be well formed whatever their values: it is refused now, and not when it is asked. */
const placeholders = (pieces: readonly Piece[]): readonly ResolvedPiece[] =>
  pieces.map((piece) => (piece.kind === "variable" ? { kind: "literal", text: "" } : piece));

function resolveTests(
  { make }: Operator,
  parsed: readonly (readonly Piece[])[],
  values: ConditionValues,
): readonly Test[] | undefined {
  const tests: Test[] = [];
  for (const pieces of parsed) {
    const resolved = resolvePieces(pieces, values);
    if (resolved === undefined) return undefined;
    tests.push(make(resolved));
  }
  return tests;
}

/** `true`: the key is not there. */
function compileNull(key: string, wanted: readonly string[]): Condition["holds"] {
  const absent = wanted.map((text) => {
    if (!/^(true|false)$/i.test(text)) throw malformedPolicy("The Null condition takes true or false.");
    return text.toLowerCase() === "true";
  });
  return (values) => absent.includes((values.get(key)?.length ?? 0) === 0);
}
