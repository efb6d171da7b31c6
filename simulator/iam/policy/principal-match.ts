/**
 * The Principal element (IAM User Guide, "AWS JSON policy elements: Principal"). Principals are compared exactly; the
 * only wildcard is `*` alone. An account in a key policy does not name its principals: it hands the decision on to that
 * account's IAM policies, and is told apart here for that reason.
 */

import { malformedPolicy } from "../../errors.js";
import { parseArn } from "../arn.js";
import type { CallerIdentity } from "../caller-identity.js";
import type { PrincipalElement } from "./document.js";

/** How a statement names a caller: itself, only through its account, or not. */
export type PrincipalMatch = "itself" | "account" | "none";

/** Compiles a Principal element. @throws AwsError MalformedPolicyDocumentException */
export function compilePrincipal(element: PrincipalElement): (caller: CallerIdentity) => PrincipalMatch {
  const tests = (element.AWS ?? []).map(compileOne);
  return (caller) => {
    const matches = tests.map((test) => test(caller));
    if (matches.includes("itself")) return "itself";
    return matches.includes("account") ? "account" : "none";
  };
}

function compileOne(wanted: string): (caller: CallerIdentity) => PrincipalMatch {
  if (wanted === "*") return () => "itself";
  const arn = parseArn(/^\d{12}$/.test(wanted) ? `arn:aws:iam::${wanted}:root` : wanted);
  if (arn === undefined || !isPrincipalArn(arn.service, arn.resource) || !/^\d{12}$/.test(arn.accountId)) {
    throw malformedPolicy("Policy contains a statement with one or more invalid principals.");
  }
  if (arn.resource === "root") {
    return (caller) => (caller.accountId !== arn.accountId ? "none" : caller.kind === "root" ? "itself" : "account");
  }
  return (caller) => (wanted === caller.arn || wanted === caller.roleArn ? "itself" : "none");
}

const isPrincipalArn = (service: string, resource: string): boolean =>
  (service === "iam" && /^(root|(user|role)\/[^*?]+)$/.test(resource)) ||
  (service === "sts" && /^(assumed-role\/[^*?/]+\/[^*?/]+|federated-user\/[^*?]+)$/.test(resource));
