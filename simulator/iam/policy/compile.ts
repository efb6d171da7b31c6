/**
 * Policies compiled once, when they are put, to closures that decide many times. A key policy names principals and is
 * asked how it names the caller; an identity policy belongs to its principal and may not name any.
 */
import { malformedPolicy } from "../../errors.js";
import type { CallerIdentity } from "../caller-identity.js";
import type { ConditionValues } from "./conditions.js";
import { compileConditions } from "./conditions.js";
import type { Statement } from "./document.js";
import { parsePolicy } from "./document.js";
import { compileGlob } from "./glob.js";
import type { PrincipalMatch } from "./principal-match.js";
import { compilePrincipal } from "./principal-match.js";

/** What a policy is asked about. */
export interface PolicyQuestion {
  readonly principal: CallerIdentity;
  /** As IAM writes it, for example `kms:Decrypt`. */
  readonly action: string;
  /** The ARN of the key or alias; `*` where the action has no resource. */
  readonly resource: string;
  readonly values: ConditionValues;
}

/** How a policy answers. `account` is an Allow that hands on to the account's IAM policies. */
export type KeyPolicyAnswer = "deny" | "allow" | "account" | "silent";
export type IdentityPolicyAnswer = "deny" | "allow" | "silent";

export interface KeyPolicy {
  /** As it was put. */
  readonly text: string;
  evaluate(question: PolicyQuestion): KeyPolicyAnswer;
}

export interface IdentityPolicy {
  evaluate(question: PolicyQuestion): IdentityPolicyAnswer;
}

interface CompiledStatement {
  readonly allows: boolean;
  readonly names: (caller: CallerIdentity) => PrincipalMatch;
  readonly covers: (question: PolicyQuestion) => boolean;
}

/** Compiles a key policy. @throws AwsError MalformedPolicyDocumentException */
export function compileKeyPolicy(text: string): KeyPolicy {
  const statements = parsePolicy(text).map((one) => {
    if ((one.Principal === undefined) === (one.NotPrincipal === undefined)) {
      throw malformedPolicy("Policy statement must contain principals.");
    }
    return compileStatement(one);
  });
  return { text, evaluate: (question) => evaluate(statements, question) };
}

/** Compiles a policy that is attached to a user or role. @throws AwsError MalformedPolicyDocumentException */
export function compileIdentityPolicy(text: string): IdentityPolicy {
  const statements = parsePolicy(text).map((one) => {
    if (one.Principal !== undefined || one.NotPrincipal !== undefined) {
      throw malformedPolicy("Policy document should not specify a principal.");
    }
    return compileStatement(one);
  });
  return {
    evaluate: (question) => {
      const answer = evaluate(statements, question);
      return answer === "account" ? "silent" : answer; // unreachable: statements without a principal name the caller itself
    },
  };
}

function evaluate(statements: readonly CompiledStatement[], question: PolicyQuestion): KeyPolicyAnswer {
  let answer: KeyPolicyAnswer = "silent";
  for (const statement of statements) {
    const match = statement.names(question.principal);
    if (match === "none" || !statement.covers(question)) continue;
    if (!statement.allows) return "deny";
    if (match === "itself") answer = "allow";
    else if (answer === "silent") answer = "account";
  }
  return answer;
}

function compileStatement(one: Statement): CompiledStatement {
  const actions = (one.Action ?? one.NotAction ?? []).map((action) => compileGlob(action.toLowerCase()));
  const resources = (one.Resource ?? one.NotResource ?? []).map(compileGlob);
  const condition = compileConditions(one.Condition ?? {});
  return {
    allows: one.Effect === "Allow",
    names: compileNames(one),
    covers: ({ action, resource, values }) =>
      actions.some((test) => test(action.toLowerCase())) === (one.Action !== undefined) &&
      resources.some((test) => test(resource)) === (one.Resource !== undefined) &&
      condition(values),
  };
}

function compileNames(one: Statement): (caller: CallerIdentity) => PrincipalMatch {
  if (one.NotPrincipal !== undefined) {
    const excepted = compilePrincipal(one.NotPrincipal);
    return (caller) => (excepted(caller) === "none" ? "itself" : "none");
  }
  return one.Principal === undefined ? () => "itself" : compilePrincipal(one.Principal);
}
