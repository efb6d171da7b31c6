/** One statement of a policy, compiled: its elements as tests, beside the text that they were made from. */
import { malformedPolicy } from "../../errors.js";
import type { CallerIdentity } from "../caller-identity.js";
import type { Condition } from "./conditions.js";
import { compileConditions } from "./conditions.js";
import type { Statement } from "./document.js";
import { compileGlob, compilePattern } from "./pattern.js";
import type { PrincipalMatch, PrincipalTest } from "./principal-match.js";
import { compileNotPrincipal, compilePrincipal } from "./principal-match.js";
import type { Piece, PolicyVersion } from "./template.js";
import { isResolved, parseTemplate, resolvePieces } from "./template.js";
import type { ConditionValues } from "./values.js";

/** What a policy is asked about. */
export interface PolicyQuestion {
  readonly principal: CallerIdentity;
  /** As IAM writes it, for example `kms:Decrypt`. */
  readonly action: string;
  /** The ARN of the key or alias; `*` where the action has no resource. */
  readonly resource: string;
  readonly values: ConditionValues;
}

export interface CompiledStatement {
  readonly source: Statement;
  /** How it names the caller; a statement without principals is about whom its policy is attached to. */
  readonly names: PrincipalTest;
  readonly coversAction: (question: PolicyQuestion) => boolean;
  readonly coversResource: (question: PolicyQuestion) => boolean;
  readonly conditions: readonly Condition[];
}

/** What a statement is about that names no resource: that of a trust policy is its role, that of a key policy nothing. */
export type WithoutResource = "covers its own" | "covers nothing";

/** @throws AwsError MalformedPolicyDocumentException */
export function compileStatement(
  source: Statement,
  version: PolicyVersion,
  withoutResource: WithoutResource = "covers its own",
): CompiledStatement {
  return {
    source,
    names: compileNames(source),
    coversAction: compileActions(source),
    coversResource: compileResources(source, version) ?? (() => withoutResource === "covers its own"),
    conditions: compileConditions(source.Condition ?? {}, { effect: source.Effect, version }),
  };
}

/** How a statement names the caller of a question that all its other elements match. */
export function matchStatement(statement: CompiledStatement, question: PolicyQuestion): PrincipalMatch {
  const match = statement.names(question.principal);
  if (match === "none" || !statement.coversAction(question) || !statement.coversResource(question)) return "none";
  for (const condition of statement.conditions) if (!condition.holds(question.values)) return "none";
  return match;
}

function compileNames({ Principal, NotPrincipal }: Statement): PrincipalTest {
  if (NotPrincipal !== undefined) return compileNotPrincipal(NotPrincipal);
  return Principal === undefined ? () => "itself" : compilePrincipal(Principal);
}

/** Actions are compared without regard to case. A statement that names none covers none. */
function compileActions({ Action, NotAction }: Statement): CompiledStatement["coversAction"] {
  const actions = Action ?? NotAction;
  if (actions === undefined) return () => false;
  const tests = actions.map((action) => compileGlob(action.toLowerCase()));
  const wanted = Action !== undefined;
  return ({ action }) => {
    const lower = action.toLowerCase();
    return tests.some((test) => test(lower)) === wanted;
  };
}

/** Undefined if the statement names no resource. */
function compileResources(source: Statement, version: PolicyVersion) {
  const texts = source.Resource ?? source.NotResource;
  if (texts === undefined) return undefined;
  const wanted = source.Resource !== undefined;
  const tests = texts.map((text) => compileResource(text, version));
  return (question: PolicyQuestion): boolean => tests.some((test) => test(question)) === wanted;
}

/** With a variable that has no value it matches no resource ("Policy variables with no value"), and the others of its list still do. */
function compileResource(text: string, version: PolicyVersion): CompiledStatement["coversResource"] {
  const pieces = parseTemplate(text, version);
  if (isResolved(pieces)) {
    const test = compilePattern(pieces);
    return ({ resource }) => test(resource);
  }
  assertInLastPart(pieces, text);
  return ({ resource, values }) => {
    const resolved = resolvePieces(pieces, values, resource.length);
    return resolved !== undefined && compilePattern(resolved)(resource);
  };
}

/** "Where you can use policy variables", "Resource element": only after the fifth colon of an ARN. */
function assertInLastPart(pieces: readonly Piece[], text: string): void {
  const before = pieces.slice(
    0,
    pieces.findIndex(({ kind }) => kind === "variable"),
  );
  const colons = before.flatMap((piece) => (piece.kind === "variable" ? [] : piece.text.split(":").slice(1)));
  if (colons.length < 5) throw malformedPolicy(`The policy variable in ${text} must be in the last part of the ARN.`);
}
