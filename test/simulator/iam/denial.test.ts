/** AccessDenied in AWS's words (IAM User Guide, "Troubleshoot access denied error messages"), one of each kind. */
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../simulator/errors.js";
import { assertAuthorized } from "../../../simulator/iam/authorization.js";
import type { AuthorizationRequest } from "../../../simulator/iam/authorization-request.js";
import type { TrustPolicy } from "../../../simulator/iam/policy/compile.js";
import { compileIdentityPolicy, compileTrustPolicy } from "../../../simulator/iam/policy/compile.js";
import type { PolicyCase } from "./cases/case.js";
import { ALICE, allow, BOB, DELEGATION, deny, KEY, outcomeOf, requestOf, SESSION } from "./cases/case.js";
import { EVALUATION } from "./cases/sources.js";

const permitted: PolicyCase = { name: "", source: EVALUATION, identityPolicies: [allow()], ends: "allowed" };

const refusalOf = (changes: Partial<PolicyCase>): string => messageOf(requestOf({ ...permitted, ...changes }));

function messageOf(request: AuthorizationRequest): string {
  try {
    assertAuthorized(request);
  } catch (error) {
    return error instanceof AwsError ? `${error.type}: ${error.message}` : `unexpected ${String(error)}`;
  }
  return "allowed";
}

const denied = (who: string, rest: string) =>
  `AccessDeniedException: User: ${who} is not authorized to perform: kms:Decrypt on ${rest}`;
const elsewhere = allow({ Action: "kms:Encrypt" });
const DENYING = JSON.stringify({ Version: "2012-10-17", Statement: deny() });
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

  it("nothing about a key that only a ciphertext names", () => {
    const { resource, ...request } = requestOf({ ...permitted, caller: BOB });
    const named = { ...request, resource: { ...resource, namedByCiphertext: true } };
    const message =
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.";
    expect(messageOf(named)).toBe(`AccessDeniedException: ${message}`);
    const denying = { ...named, principal: { ...named.principal, policies: [compileIdentityPolicy(DENYING)] } };
    expect(messageOf(denying)).toBe(`AccessDeniedException: ${message}`);
  });
});

describe("what it says of a role", () => {
  const trust = (statement: object) =>
    compileTrustPolicy(
      JSON.stringify({ Version: "2012-10-17", Statement: { Action: "sts:AssumeRole", ...statement } }),
    );
  const assume = (keyPolicy: TrustPolicy, caller = ALICE) => ({
    principal: { ...caller, policies: [] },
    action: "sts:AssumeRole",
    resource: { arn: SESSION.roleArn, accountId: ALICE.accountId, keyPolicy },
    values: new Map<string, readonly string[]>(),
  });
  const who = `AccessDeniedException: User: ${ALICE.arn} is not authorized to perform: sts:AssumeRole`;
  const others = trust({ Effect: "Allow", Principal: { AWS: BOB.arn } });

  it("that its trust policy does not allow, or denies", () => {
    expect(messageOf(assume(trust({ Effect: "Allow", Principal: { AWS: ALICE.arn } })))).toBe("allowed");
    expect(messageOf(assume(others))).toBe(`${who} because no role trust policy allows the sts:AssumeRole action`);
    expect(messageOf(assume(trust({ Effect: "Deny", Principal: "*" })))).toBe(
      `${who} with an explicit deny in the role trust policy`,
    );
  });

  it("nothing to another account", () => {
    const bob = who.replace(ALICE.arn, BOB.arn);
    const mine = trust({ Effect: "Allow", Principal: { AWS: ALICE.arn } });
    expect(messageOf(assume(mine, BOB))).toBe(`${bob} on resource: ${SESSION.roleArn}`);
  });
});
