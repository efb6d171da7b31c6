/** AccessDenied in AWS's words (IAM User Guide, "Troubleshoot access denied error messages"), one of each kind. */
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../simulator/errors.js";
import { assertAuthorized } from "../../../simulator/iam/authorization.js";
import type { PolicyCase } from "./cases/case.js";
import { ALICE, allow, BOB, DELEGATION, deny, KEY, outcomeOf, requestOf, SESSION } from "./cases/case.js";
import { EVALUATION } from "./cases/sources.js";

const permitted: PolicyCase = { name: "", source: EVALUATION, identityPolicies: [allow()], ends: "allowed" };

function refusalOf(changes: Partial<PolicyCase>): string {
  try {
    assertAuthorized(requestOf({ ...permitted, ...changes }));
  } catch (error) {
    return error instanceof AwsError ? `${error.type}: ${error.message}` : `unexpected ${String(error)}`;
  }
  return "allowed";
}

const denied = (who: string, rest: string) =>
  `AccessDeniedException: User: ${who} is not authorized to perform: kms:Decrypt on ${rest}`;
const elsewhere = allow({ Action: "kms:Encrypt" });
const everybody = { Principal: "*" };

describe("what AccessDenied says in the key's account", () => {
  it.each<[why: string, changes: Partial<PolicyCase>]>([
    ["with an explicit deny in a resource control policy", { resourceControlPolicies: [[deny(everybody)]] }],
    ["with an explicit deny in a service control policy", { serviceControlPolicies: [[deny()]] }],
    ["because no service control policy allows the kms:Decrypt action", { serviceControlPolicies: [[elsewhere]] }],
    ["with an explicit deny in a VPC endpoint policy", { endpointPolicy: deny(everybody) }],
    [
      "because no VPC endpoint policy allows the kms:Decrypt action",
      { endpointPolicy: { ...elsewhere, ...everybody } },
    ],
    ["with an explicit deny in a resource-based policy", { keyPolicy: [DELEGATION, deny(everybody)] }],
    [
      "because no resource-based policy allows the kms:Decrypt action",
      { keyPolicy: allow({ Principal: { AWS: SESSION.roleArn } }) },
    ],
    ["with an explicit deny in an identity-based policy", { identityPolicies: [deny()] }],
    ["because no identity-based policy allows the kms:Decrypt action", { identityPolicies: [elsewhere] }],
    ["with an explicit deny in a permissions boundary", { boundary: deny() }],
    ["because no permissions boundary allows the kms:Decrypt action", { boundary: elsewhere }],
    ["with an explicit deny in a session policy", { sessionPolicies: [deny()] }],
    ["because no session policy allows the kms:Decrypt action", { sessionPolicies: [elsewhere] }],
  ])("%s", (why, changes) => {
    expect(outcomeOf(permitted)).toBe("allowed");
    expect(refusalOf(changes)).toBe(denied(ALICE.arn, `resource: ${KEY} ${why}`));
  });
});

describe("what it says of another account's key", () => {
  const foreign = { caller: BOB, keyPolicy: [DELEGATION, allow({ Principal: { AWS: BOB.arn } })] };
  const hidden =
    "this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access";

  it("nothing about its policy", () => {
    expect(refusalOf(foreign)).toBe("allowed");
    expect(refusalOf({ caller: BOB })).toBe(denied(BOB.arn, hidden));
    expect(refusalOf({ ...foreign, keyPolicy: [...foreign.keyPolicy, deny(everybody)] })).toBe(denied(BOB.arn, hidden));
  });

  it("but what is missing on the caller's side", () => {
    const why = "because no identity-based policy allows the kms:Decrypt action";
    expect(refusalOf({ ...foreign, identityPolicies: [] })).toBe(denied(BOB.arn, `resource: ${KEY} ${why}`));
  });
});
