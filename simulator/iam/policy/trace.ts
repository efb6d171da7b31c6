/**
 * How a policy came to its answer: every element of every statement with what it wants, what the request has, and
 * whether they match. It asks the same compiled tests as a decision does, and all of them, where a decision stops at the
 * first that fails.
 */
import type { CallerIdentity } from "../caller-identity.js";
import type { IdentityPolicy, PolicyAnswer, ResourcePolicy, ResourcePolicyAnswer } from "./compile.js";
import type { Condition } from "./conditions.js";
import type { PrincipalElement, Statement } from "./document.js";
import type { PrincipalMatch } from "./principal-match.js";
import type { CompiledStatement, PolicyQuestion } from "./statement.js";
import { matchStatement } from "./statement.js";
import { foldedKey } from "./values.js";

/** An element that is there, or of a condition block one operator on one key. */
export interface ElementTrace {
  readonly element: "Principal" | "NotPrincipal" | "Action" | "NotAction" | "Resource" | "NotResource" | "Condition";
  readonly matched: boolean;
  readonly wanted: readonly string[];
  /** What the request has; nothing where it does not have the condition key. */
  readonly actual: readonly string[];
  /** Of a condition. */
  readonly operator?: string;
  /** Of a condition. */
  readonly key?: string;
}

export interface StatementTrace {
  /** Its place in the policy, from 0. */
  readonly index: number;
  readonly sid?: string;
  readonly effect: Statement["Effect"];
  readonly matched: boolean;
  /** How it names the caller, if it matched. */
  readonly names?: Exclude<PrincipalMatch, "none">;
  readonly elements: readonly ElementTrace[];
}

export interface PolicyTrace {
  readonly name?: string;
  readonly answer: PolicyAnswer | ResourcePolicyAnswer;
  readonly statements: readonly StatementTrace[];
}

/** Traces a policy of any kind. */
export function tracePolicy(policy: IdentityPolicy | ResourcePolicy, question: PolicyQuestion): PolicyTrace {
  return {
    ...(policy.name !== undefined && { name: policy.name }),
    answer: policy.evaluate(question),
    statements: policy.statements.map((statement, index) => traceStatement(statement, index, question)),
  };
}

function traceStatement(statement: CompiledStatement, index: number, question: PolicyQuestion): StatementTrace {
  const { Sid, Effect } = statement.source;
  const names = matchStatement(statement, question);
  return {
    index,
    ...(Sid !== undefined && { sid: Sid }),
    effect: Effect,
    matched: names !== "none",
    ...(names !== "none" && { names }),
    elements: [
      ...tracePrincipal(statement, question.principal),
      ...traceAction(statement, question),
      ...traceResource(statement, question),
      ...statement.conditions.map((condition) => traceCondition(condition, question)),
    ],
  };
}

function* tracePrincipal({ source, names }: CompiledStatement, caller: CallerIdentity): Iterable<ElementTrace> {
  const principals = source.Principal ?? source.NotPrincipal;
  if (principals === undefined) return;
  yield {
    element: source.Principal === undefined ? "NotPrincipal" : "Principal",
    matched: names(caller) !== "none",
    wanted: wantedPrincipals(principals),
    actual: [caller.arn, ...(caller.roleArn === undefined ? [] : [caller.roleArn])],
  };
}

const wantedPrincipals = ({ AWS = [], Service = [], Federated = [], CanonicalUser = [] }: PrincipalElement) => [
  ...AWS,
  ...Service,
  ...Federated,
  ...CanonicalUser,
];

function* traceAction({ source, coversAction }: CompiledStatement, question: PolicyQuestion): Iterable<ElementTrace> {
  yield {
    element: source.NotAction === undefined ? "Action" : "NotAction",
    matched: coversAction(question),
    wanted: source.Action ?? source.NotAction ?? [],
    actual: [question.action],
  };
}

function* traceResource(
  { source, coversResource }: CompiledStatement,
  question: PolicyQuestion,
): Iterable<ElementTrace> {
  const wanted = source.Resource ?? source.NotResource ?? [];
  const matched = coversResource(question);
  if (wanted.length === 0 && matched) return;
  const element = source.NotResource === undefined ? "Resource" : "NotResource";
  yield { element, matched, wanted, actual: [question.resource] };
}

function traceCondition({ operator, key, wanted, holds }: Condition, { values }: PolicyQuestion): ElementTrace {
  const actual = values.get(foldedKey(key)) ?? [];
  return { element: "Condition", operator, key, matched: holds(values), wanted, actual };
}
