/**
 * Compiled policies: made once, when they are put, and asked many times. They hold nothing of their key or principal, so
 * that those with the same text can share one (see SharedPolicies).
 */
import type { PolicyDocument } from "./document.js";
import type { PrincipalMatch } from "./principal-match.js";
import { strongerMatch } from "./principal-match.js";
import type { CompiledStatement, PolicyQuestion, WithoutResource } from "./statement.js";
import { compileStatement, matchStatement } from "./statement.js";

/** How a policy answers that names no principals. */
export type PolicyAnswer = "deny" | "allow" | "silent";

/** How a resource policy answers: an Allow names the caller itself, its role, or its account, whose IAM policies then decide. */
export type ResourcePolicyAnswer = "deny" | "allow" | "role" | "account" | "silent";

interface CompiledPolicy {
  /** As it was put. */
  readonly text: string;
  /** What explanations call it: a name or ARN. */
  readonly name: string | undefined;
  readonly statements: readonly CompiledStatement[];
}

export interface ResourcePolicy extends CompiledPolicy {
  evaluate(question: PolicyQuestion): ResourcePolicyAnswer;
}
export type KeyPolicy = ResourcePolicy;
export type TrustPolicy = ResourcePolicy;
export type EndpointPolicy = ResourcePolicy;

/** A policy of a principal, or one that limits it: identity policy, boundary, session policy, service control policy. */
export interface IdentityPolicy extends CompiledPolicy {
  evaluate(question: PolicyQuestion): PolicyAnswer;
}
export type ResourceControlPolicy = IdentityPolicy;

/** What a policy is compiled with. */
export interface PolicySource {
  readonly name?: string;
}

interface CompileOptions extends PolicySource {
  readonly withoutResource?: WithoutResource;
}

/** @throws AwsError MalformedPolicyDocumentException */
export function resourcePolicy(
  text: string,
  { statements, version }: PolicyDocument,
  options: CompileOptions,
): ResourcePolicy {
  const compiled = statements.map((one) => compileStatement(one, version, options.withoutResource));
  const { name } = options;
  return { text, name, statements: compiled, evaluate: (question) => evaluateResourcePolicy(compiled, question) };
}

/** @throws AwsError MalformedPolicyDocumentException */
export function identityPolicy(
  text: string,
  { statements, version }: PolicyDocument,
  { name }: PolicySource,
): IdentityPolicy {
  const compiled = statements.map((one) => compileStatement(one, version));
  return { text, name, statements: compiled, evaluate: (question) => evaluateIdentityPolicy(compiled, question) };
}

const ANSWERS: Readonly<Record<PrincipalMatch, ResourcePolicyAnswer>> = {
  itself: "allow",
  role: "role",
  account: "account",
  none: "silent",
};

function evaluateResourcePolicy(
  statements: readonly CompiledStatement[],
  question: PolicyQuestion,
): ResourcePolicyAnswer {
  let strongest: PrincipalMatch = "none";
  for (const statement of statements) {
    const match = matchStatement(statement, question);
    if (match === "none") continue;
    if (statement.source.Effect === "Deny") return "deny";
    strongest = strongerMatch(strongest, match);
  }
  return ANSWERS[strongest];
}

function evaluateIdentityPolicy(statements: readonly CompiledStatement[], question: PolicyQuestion): PolicyAnswer {
  let answer: PolicyAnswer = "silent";
  for (const statement of statements) {
    if (matchStatement(statement, question) === "none") continue;
    if (statement.source.Effect === "Deny") return "deny";
    answer = "allow";
  }
  return answer;
}
