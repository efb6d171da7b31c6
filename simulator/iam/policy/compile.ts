/**
 * Policies compiled once, when they are put, and asked many times. What kinds of policy there are, what each may contain,
 * and how each answers (IAM User Guide, "Policies and permissions in IAM", "Policy types"):
 *
 * - A resource policy names principals: a key policy, a role's trust policy, the policy of a VPC endpoint.
 * - An identity policy belongs to its principal and may not name any. Boundaries, session policies and service control
 *   policies are written like it.
 * - A resource control policy speaks of everybody and only ever denies.
 *
 * A compiled policy holds nothing of its key or principal: keys with the same text can share one (see SharedPolicies).
 */
import { AwsError, malformedPolicy } from "../../errors.js";
import type { PolicyDocument, Statement } from "./document.js";
import { parsePolicy } from "./document.js";
import type { PrincipalMatch } from "./principal-match.js";
import { strongerMatch } from "./principal-match.js";
import type { CompiledStatement, PolicyQuestion } from "./statement.js";
import { compileStatement, matchStatement } from "./statement.js";

export type { PolicyQuestion } from "./statement.js";

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

/** What a key policy may have at most (KMS Developer Guide, "Resource quotas", "Key policy document size"). */
const MAX_KEY_POLICY_BYTES = 32_768;

/** Compiles a key policy. @throws AwsError MalformedPolicyDocumentException, LimitExceededException */
export function compileKeyPolicy(text: string, source: PolicySource = {}): KeyPolicy {
  if (Buffer.byteLength(text) > MAX_KEY_POLICY_BYTES) {
    throw new AwsError("LimitExceededException", `The key policy exceeds ${MAX_KEY_POLICY_BYTES} bytes.`);
  }
  return compileResourcePolicy(text, source);
}

/** Compiles the policy of a VPC endpoint. @throws AwsError MalformedPolicyDocumentException */
export function compileEndpointPolicy(text: string, source: PolicySource = {}): EndpointPolicy {
  return compileResourcePolicy(text, source);
}

/** Compiles the trust policy of a role, which is itself the resource. @throws AwsError MalformedPolicyDocumentException */
export function compileTrustPolicy(text: string, source: PolicySource = {}): TrustPolicy {
  const document = parsePolicy(text);
  for (const one of document.statements) {
    if (one.Resource !== undefined || one.NotResource !== undefined) {
      throw malformedPolicy("Has prohibited field Resource");
    }
    if (one.Principal === undefined) throw malformedPolicy("Missing required field Principal");
    if (one.NotPrincipal !== undefined) throw malformedPolicy("Has prohibited field NotPrincipal");
    for (const action of one.Action ?? one.NotAction ?? []) {
      if (!/^sts:/i.test(action)) throw malformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.");
    }
  }
  return resourcePolicy(text, document, source);
}

/** Compiles a policy that is written like an identity policy. @throws AwsError MalformedPolicyDocumentException */
export function compileIdentityPolicy(text: string, source: PolicySource = {}): IdentityPolicy {
  const document = parsePolicy(text);
  for (const one of document.statements) {
    if (one.Principal !== undefined || one.NotPrincipal !== undefined) {
      throw malformedPolicy("Policy document should not specify a principal.");
    }
    assertResources(one);
    assertArns(one);
    assertSid(one);
  }
  return identityPolicy(text, document, source);
}

/**
 * Compiles a resource control policy (AWS Organizations User Guide, "RCP syntax").
 * @throws AwsError MalformedPolicyDocumentException
 */
export function compileResourceControlPolicy(text: string, source: PolicySource = {}): ResourceControlPolicy {
  const document = parsePolicy(text);
  const fits = document.statements.every((one) => (one.Effect === "Deny" ? isResourceControl(one) : isFullAccess(one)));
  if (document.version !== "2012-10-17" || !fits) {
    throw malformedPolicy("The provided policy document does not meet the requirements of the specified policy type.");
  }
  return identityPolicy(text, document, source);
}

const isAll = (list: readonly string[] | undefined): boolean => list?.length === 1 && list[0] === "*";

const isEverybody = ({ Principal = {} }: Statement): boolean =>
  isAll(Principal.AWS) && Object.keys(Principal).length === 1;

/** RCPFullAWSAccess, which is attached everywhere and cannot be detached: the only one that allows. */
const isFullAccess = (one: Statement): boolean =>
  isEverybody(one) && isAll(one.Action) && isAll(one.Resource) && one.Condition === undefined;

const isResourceControl = (one: Statement): boolean =>
  isEverybody(one) &&
  one.Action?.includes("*") === false &&
  (one.Resource === undefined) !== (one.NotResource === undefined);

function compileResourcePolicy(text: string, source: PolicySource): ResourcePolicy {
  const document = parsePolicy(text);
  for (const one of document.statements) {
    if ((one.Principal === undefined) === (one.NotPrincipal === undefined)) {
      throw malformedPolicy("Policy contains a statement with no principal");
    }
    if (one.NotPrincipal !== undefined && one.Effect === "Allow") {
      throw malformedPolicy("NotPrincipal must be used with the effect Deny.");
    }
    assertResources(one);
  }
  return resourcePolicy(text, document, source);
}

function assertResources(one: Statement): void {
  if (one.Resource === undefined && one.NotResource === undefined) {
    throw malformedPolicy("Policy statement must contain resources.");
  }
}

function assertArns(one: Statement): void {
  for (const resource of one.Resource ?? one.NotResource ?? []) {
    if (resource !== "*" && !resource.startsWith("arn:")) {
      throw malformedPolicy(`Resource ${resource} must be in ARN format or "*".`);
    }
  }
}

/** IAM's rule; a key policy's statement ids may have spaces. */
function assertSid({ Sid = "" }: Statement): void {
  if (!/^[A-Za-z0-9]*$/.test(Sid)) {
    throw malformedPolicy(
      "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
    );
  }
}

const compileStatements = ({ statements, version }: PolicyDocument): readonly CompiledStatement[] =>
  statements.map((one) => compileStatement(one, version));

function resourcePolicy(text: string, document: PolicyDocument, { name }: PolicySource): ResourcePolicy {
  const statements = compileStatements(document);
  return { text, name, statements, evaluate: (question) => evaluateResourcePolicy(statements, question) };
}

function identityPolicy(text: string, document: PolicyDocument, { name }: PolicySource): IdentityPolicy {
  const statements = compileStatements(document);
  return { text, name, statements, evaluate: (question) => evaluateIdentityPolicy(statements, question) };
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
