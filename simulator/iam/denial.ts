/**
 * What AccessDenied says (IAM User Guide, "Troubleshoot access denied error messages"): the one kind of policy that
 * decided, and whether it denied or did not allow. Of another account's key, callers do not learn what its policy says,
 * nor whether there is such a key.
 */
import type { AuthorizationRequest } from "./authorization-request.js";
import type { DecidingPolicy, Denial } from "./reason.js";
import { readDenial } from "./reason.js";

const NAMES: Readonly<Record<DecidingPolicy, string>> = {
  "resource-control-policy": "resource control policy",
  "service-control-policy": "service control policy",
  "endpoint-policy": "VPC endpoint policy",
  "key-policy": "resource-based policy",
  "identity-policy": "identity-based policy",
  boundary: "permissions boundary",
  "session-policy": "session policy",
};

/** AWS's message. */
export function denialText({ principal, action, resource }: AuthorizationRequest, denial: Denial): string {
  const who = `User: ${principal.arn} is not authorized to perform: ${action}`;
  const { policy, explicit } = readDenial(denial);
  if (policy === "key-policy" && principal.accountId !== resource.accountId) {
    return `${who} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`;
  }
  const name = NAMES[policy];
  const article = /^[aeiou]/.test(name) ? "an" : "a";
  const why = explicit
    ? `with an explicit deny in ${article} ${name}`
    : `because no ${name} allows the ${action} action`;
  return `${who} on resource: ${resource.arn} ${why}`;
}
