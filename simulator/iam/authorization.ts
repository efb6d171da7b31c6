/**
 * Who may do what: the key policy and the caller's identity policies, put together as KMS does (KMS Developer Guide,
 * "Determining access to AWS KMS keys"). An explicit deny wins. A key policy allows the callers that it names; where it
 * names only their account, their own policies decide. Callers of another account need both sides. A grant allows by itself.
 *
 * Permission boundaries, session and organisation policies have their place in this one function.
 */
import { accessDenied } from "../errors.js";
import type { KeyPolicy, PolicyQuestion } from "./policy/compile.js";
import type { Principal } from "./principal.js";

/** What an action is about: a key with its policy, or a resource that only identity policies speak about. */
export interface Resource {
  readonly arn: string;
  readonly accountId: string;
  readonly keyPolicy?: KeyPolicy;
  /** Whether a grant allows what is asked, as a key policy does that names the caller. */
  readonly grants?: (question: PolicyQuestion) => boolean;
}

/** Whether the policies of the caller allow; the root user needs none. */
export const identityAllows = (principal: Principal, question: PolicyQuestion): boolean =>
  principal.kind === "root" || principal.policies.some((policy) => policy.evaluate(question) === "allow");

/** A question about one action, to be decided. */
export interface AuthorizationRequest extends Omit<PolicyQuestion, "resource" | "principal"> {
  readonly principal: Principal;
  readonly resource: Resource;
}

/** Why a request is allowed or not; the denials are those of AWS's messages. */
export type Reason =
  | "allowed"
  | "denied-by-key-policy"
  | "denied-by-identity-policy"
  | "not-allowed-by-key-policy"
  | "not-allowed-by-identity-policy";

export interface Decision {
  readonly allowed: boolean;
  readonly reason: Reason;
}

/** Decides. */
export function authorize(request: AuthorizationRequest): Decision {
  const reason = decide(request);
  return { allowed: reason === "allowed", reason };
}

/** @throws AwsError AccessDeniedException in AWS's words. */
export function assertAuthorized(request: AuthorizationRequest): void {
  const { allowed, reason } = authorize(request);
  if (!allowed) throw accessDenied(denialText(request, reason));
}

function decide({ principal, action, resource, values }: AuthorizationRequest): Reason {
  const question: PolicyQuestion = { principal, action, resource: resource.arn, values };
  const key = resource.keyPolicy?.evaluate(question);
  if (key === "deny") return "denied-by-key-policy";
  const identity = principal.policies.map((policy) => policy.evaluate(question));
  if (identity.includes("deny")) return "denied-by-identity-policy";
  if (key === "allow" && principal.accountId === resource.accountId) return "allowed";
  if (resource.grants?.(question) === true) return "allowed";
  if (key === "silent") return "not-allowed-by-key-policy";
  return identityAllows(principal, question) ? "allowed" : "not-allowed-by-identity-policy";
}

function denialText({ principal, action, resource }: AuthorizationRequest, reason: Reason): string {
  const because: Readonly<Record<Reason, string>> = {
    allowed: "",
    "denied-by-key-policy": "with an explicit deny in a resource-based policy",
    "denied-by-identity-policy": "with an explicit deny in an identity-based policy",
    "not-allowed-by-key-policy": `because no resource-based policy allows the ${action} action`,
    "not-allowed-by-identity-policy": `because no identity-based policy allows the ${action} action`,
  };
  const who = `User: ${principal.arn} is not authorized to perform: ${action}`;
  return `${who} on resource: ${resource.arn} ${because[reason]}`;
}
