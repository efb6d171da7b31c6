/**
 * What AccessDenied says (IAM User Guide, "Troubleshoot access denied error messages"): the one kind of policy that
 * decided, and whether it denied or did not allow. Of another account's key, callers do not learn what its policy says,
 * nor whether there is such a key; of another account's role neither.
 */
import { parseArn } from "./arn.js";
import type { AuthorizationRequest, Resource } from "./authorization-request.js";
import type { DecidingPolicy, Denial } from "./reason.js";
import { readDenial } from "./reason.js";

const NAMES: Readonly<Record<DecidingPolicy, string>> = {
  "resource-control-policy": "a resource control policy",
  "service-control-policy": "a service control policy",
  "endpoint-policy": "a VPC endpoint policy",
  "key-policy": "a resource-based policy",
  "identity-policy": "an identity-based policy",
  boundary: "a permissions boundary",
  "session-policy": "a session policy",
};

/** Whether the resource is a role, whose own policy is its trust policy. */
export const isRole = (resource: string): boolean => parseArn(resource)?.service === "iam";

/** AWS's message. */
export function denialText({ principal, action, resource }: AuthorizationRequest, denial: Denial): string {
  const who = `User: ${principal.arn} is not authorized to perform: ${action}`;
  const { policy, explicit } = readDenial(denial);
  const own = policy === "key-policy";
  if (resource.namedByCiphertext === true && principal.accountId !== resource.accountId) return UNKNOWN_KEY;
  if (own && principal.accountId !== resource.accountId) return `${who} ${hiddenText(resource)}`;
  if (own && isRole(resource.arn)) return `${who} ${reasonText("the role trust policy", action, explicit)}`;
  return `${who} on resource: ${resource.arn} ${reasonText(NAMES[policy], action, explicit)}`;
}

function reasonText(policy: string, action: string, explicit: boolean): string {
  if (explicit) return `with an explicit deny in ${policy}`;
  return `because no ${policy.slice(policy.indexOf(" ") + 1)} allows the ${action} action`;
}

function hiddenText({ arn }: Resource): string {
  if (isRole(arn)) return `on resource: ${arn}`;
  return "on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access";
}

/** The whole answer where a ciphertext alone names the key of another account, or one that is not there. */
const UNKNOWN_KEY =
  "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.";
