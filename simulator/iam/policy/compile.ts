/**
 * The kinds of policy and what each may contain (IAM User Guide, "Policies and permissions in IAM", "Policy types"):
 *
 * - A resource policy names principals: a key policy, a role's trust policy, the policy of a VPC endpoint.
 * - An identity policy belongs to its principal and may not name any. Boundaries, session policies and service control
 *   policies are written like it.
 * - A resource control policy speaks of everybody and only ever denies.
 */
import { malformedPolicy } from "../../errors.js";
import type { Statement } from "./document.js";
import { parsePolicy } from "./document.js";
import { assertArns, assertSid } from "./identity-policy-rules.js";
import { assertKeyPolicySize, assertNotOverlyPermissive } from "./key-policy-rules.js";
import type {
  EndpointPolicy,
  IdentityPolicy,
  KeyPolicy,
  PolicySource,
  ResourceControlPolicy,
  TrustPolicy,
} from "./policy.js";
import { identityPolicy, resourcePolicy } from "./policy.js";

export type {
  EndpointPolicy,
  IdentityPolicy,
  KeyPolicy,
  PolicyAnswer,
  ResourceControlPolicy,
  ResourcePolicy,
  ResourcePolicyAnswer,
  TrustPolicy,
} from "./policy.js";
export type { PolicyQuestion } from "./statement.js";

/**
 * Compiles a key policy. KMS takes a statement without an action or a resource, which then has no effect (API Reference,
 * PutKeyPolicy, "Policy").
 * @throws AwsError MalformedPolicyDocumentException, LimitExceededException
 */
export function compileKeyPolicy(text: string, source: PolicySource = {}): KeyPolicy {
  assertKeyPolicySize(text);
  const document = parsePolicy(text);
  for (const one of document.statements) {
    assertPrincipal(one);
    assertNotOverlyPermissive(one);
  }
  return resourcePolicy(text, document, { ...source, withoutResource: "covers nothing" });
}

/** Compiles the policy of a VPC endpoint. @throws AwsError MalformedPolicyDocumentException */
export function compileEndpointPolicy(text: string, source: PolicySource = {}): EndpointPolicy {
  const document = parsePolicy(text);
  for (const one of document.statements) {
    assertPrincipal(one);
    assertActions(one);
    assertResources(one);
  }
  return resourcePolicy(text, document, source);
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
    assertActions(one);
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
    assertActions(one);
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

function assertPrincipal(one: Statement): void {
  if ((one.Principal === undefined) === (one.NotPrincipal === undefined)) {
    throw malformedPolicy("Policy contains a statement with no principal");
  }
  if (one.NotPrincipal !== undefined && one.Effect === "Allow") {
    throw malformedPolicy("NotPrincipal must be used with the effect Deny.");
  }
}

function assertActions(one: Statement): void {
  if (one.Action === undefined && one.NotAction === undefined) {
    throw malformedPolicy("Policy statement must contain actions.");
  }
}

function assertResources(one: Statement): void {
  if (one.Resource === undefined && one.NotResource === undefined) {
    throw malformedPolicy("Policy statement must contain resources.");
  }
}
