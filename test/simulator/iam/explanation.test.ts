/** What explains a decision: as data, and for a terminal. */
import { describe, expect, it } from "vitest";
import type { AuthorizationRequest } from "../../../simulator/iam/authorization-request.js";
import { explainAuthorization } from "../../../simulator/iam/explanation.js";
import { formatExplanation } from "../../../simulator/iam/format-explanation.js";
import { compileKeyPolicy, compileTrustPolicy } from "../../../simulator/iam/policy/compile.js";
import type { PolicyCase } from "./cases/case.js";
import { ALICE, allow, deny, FULL_ACCESS, KEY, requestOf, SESSION } from "./cases/case.js";
import { EVALUATION } from "./cases/sources.js";

const PCR0 = "kms:RecipientAttestation:PCR0";
const [wanted, actual] = ["ab".repeat(48), "cd".repeat(48)];

const attested: PolicyCase = {
  name: "",
  source: EVALUATION,
  caller: SESSION,
  keyPolicy: allow({
    Sid: "Enclave",
    Principal: { AWS: SESSION.roleArn },
    Action: "kms:Decrypt",
    Condition: { StringEqualsIgnoreCase: { [PCR0]: wanted } },
  }),
  values: { [PCR0]: actual },
  ends: "not-allowed-by-key-policy",
};

/** The request with a name for its key policy. */
function named(one: PolicyCase, name: string): AuthorizationRequest {
  const request = requestOf(one);
  const keyPolicy = compileKeyPolicy(request.resource.keyPolicy?.text ?? "", { name });
  return { ...request, resource: { ...request.resource, keyPolicy } };
}

describe("an explanation", () => {
  it("has every element with what is wanted and what there is", () => {
    const { message, ...rest } = explainAuthorization(named(attested, "default"));
    expect(message).toContain("because no resource-based policy allows the kms:Decrypt action");
    expect(rest).toEqual({
      allowed: false,
      reason: "not-allowed-by-key-policy",
      principal: SESSION.arn,
      action: "kms:Decrypt",
      resource: KEY,
      policies: [
        {
          kind: "key-policy",
          name: "default",
          answer: "silent",
          statements: [
            {
              index: 0,
              sid: "Enclave",
              effect: "Allow",
              matched: false,
              elements: [
                {
                  element: "Principal",
                  matched: true,
                  wanted: [SESSION.roleArn],
                  actual: [SESSION.arn, SESSION.roleArn],
                },
                { element: "Action", matched: true, wanted: ["kms:Decrypt"], actual: ["kms:Decrypt"] },
                { element: "Resource", matched: true, wanted: ["*"], actual: [KEY] },
                {
                  element: "Condition",
                  operator: "StringEqualsIgnoreCase",
                  key: PCR0,
                  matched: false,
                  wanted: [wanted],
                  actual: [actual],
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it("says how a statement that matched names the caller, and leaves out AWS's message", () => {
    const explanation = explainAuthorization(requestOf({ ...attested, values: { [PCR0]: wanted } }));
    expect(explanation.allowed).toBe(true);
    expect(explanation).not.toHaveProperty("message");
    expect(explanation.policies[0]).toMatchObject({ answer: "role", statements: [{ matched: true, names: "role" }] });
  });

  it("has every policy that is about the request, and none that is not", () => {
    const everybody = { Principal: "*" };
    const explanation = explainAuthorization(
      requestOf({
        ...attested,
        identityPolicies: [allow(), deny()],
        boundary: allow(),
        sessionPolicies: [allow()],
        serviceControlPolicies: [[FULL_ACCESS], []],
        resourceControlPolicies: [[deny(everybody)]],
        endpointPolicy: allow(everybody),
        granted: false,
      }),
    );
    expect(explanation.granted).toBe(false);
    expect(explanation.policies.map(({ kind, level, answer }) => [kind, level, answer])).toEqual([
      ["resource-control-policy", 0, "deny"],
      ["service-control-policy", 0, "allow"],
      ["service-control-policy", 1, "silent"],
      ["endpoint-policy", undefined, "allow"],
      ["key-policy", undefined, "silent"],
      ["identity-policy", undefined, "allow"],
      ["identity-policy", undefined, "deny"],
      ["boundary", undefined, "allow"],
      ["session-policy", undefined, "allow"],
    ]);
  });

  it("is JSON as it stands", () => {
    const explanation = explainAuthorization(named(attested, "default"));
    expect(JSON.parse(JSON.stringify(explanation))).toEqual(explanation);
  });
});

describe("at a terminal", () => {
  it("has the two values of a register under one another", () => {
    const { message = "", ...explanation } = explainAuthorization(named(attested, "default"));
    expect(formatExplanation({ ...explanation, message }).split("\n")).toEqual([
      "DENIED  kms:Decrypt",
      `  caller    ${SESSION.arn}`,
      `  resource  ${KEY}`,
      `  message   ${message}`,
      "",
      "key policy default: does not allow",
      '  ✗ Allow #0 "Enclave"',
      "      ✓ Principal",
      "      ✓ Action",
      "      ✓ Resource",
      `      ✗ StringEqualsIgnoreCase ${PCR0}`,
      `          wanted  ${wanted}`,
      `          actual  ${actual}`,
    ]);
  });

  it("shows lists, levels, grants, and what the request does not have", () => {
    const request = requestOf({
      ...attested,
      keyPolicy: allow({ Principal: { AWS: [ALICE.arn, `${ALICE.arn}2`] }, Condition: { Bool: { "aws:x": "true" } } }),
      serviceControlPolicies: [[FULL_ACCESS]],
      granted: true,
    });
    expect(formatExplanation(explainAuthorization(request)).split("\n")).toEqual([
      "ALLOWED  kms:Decrypt",
      `  caller    ${SESSION.arn}`,
      `  resource  ${KEY}`,
      "  grants    one allows it",
      "",
      "service control policy, level 0: allows",
      "  ✓ Allow #0",
      "      ✓ Action",
      "      ✓ Resource",
      "",
      "key policy: does not allow",
      "  ✗ Allow #0",
      "      ✗ Principal",
      `          wanted  ${ALICE.arn}`,
      `                  ${ALICE.arn}2`,
      `          actual  ${SESSION.arn}`,
      `                  ${SESSION.roleArn}`,
      "      ✓ Action",
      "      ✓ Resource",
      "      ✗ Bool aws:x",
      "          wanted  true",
      "          actual  (not in the request)",
    ]);
  });

  it("calls a role's policy by its name", () => {
    const principal = { ...ALICE, policies: [] };
    const trust = { Effect: "Allow", Principal: { AWS: ALICE.arn }, Action: "sts:AssumeRole" };
    const keyPolicy = compileTrustPolicy(JSON.stringify({ Version: "2012-10-17", Statement: trust }));
    const resource = { arn: SESSION.roleArn, accountId: ALICE.accountId, keyPolicy };
    const explanation = explainAuthorization({ principal, action: "sts:AssumeRole", resource, values: new Map() });
    expect(formatExplanation(explanation)).toContain("\ntrust policy: allows\n");
  });

  it("lets no value drive the terminal", () => {
    const values = { [PCR0]: "\u001b[2J\nALLOWED\u2028\u2029" };
    const text = formatExplanation(explainAuthorization(requestOf({ ...attested, values })));
    expect(text).toContain("actual  \\u{1b}[2J\\u{a}ALLOWED\\u{2028}\\u{2029}");
    expect(text.split("\n").filter((line) => line.startsWith("ALLOWED"))).toEqual([]);
  });
});
