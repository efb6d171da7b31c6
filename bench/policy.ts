/**
 * A policy decision beside the signature check of the same request, which it must cost less than: an attested Decrypt by
 * the session of a role in a member account, under a key policy with conditions on PCRs and the encryption context, two
 * identity policies and two levels of service control policies. Once allowed, and once with every statement tried in vain.
 */

import type { AuthorizationRequest } from "../simulator/iam/authorization.js";
import { authorize } from "../simulator/iam/authorization.js";
import { explainAuthorization } from "../simulator/iam/explanation.js";
import { compileIdentityPolicy, compileKeyPolicy } from "../simulator/iam/policy/compile.js";
import { ADMINISTRATOR_POLICY, Principals } from "../simulator/iam/principals.js";
import { signRequest } from "../simulator/iam/sign-request.js";
import type { SignedRequest } from "../simulator/iam/sigv4.js";
import { verifySignature } from "../simulator/iam/sigv4.js";
import { compare } from "./pairs.js";
import type { Row } from "./table.js";
import { median } from "./table.js";

const ACCOUNT = "111122223333";
const REGION = "us-east-1";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/parent`;
const KEY = `arn:aws:kms:${REGION}:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`;
const PCRS = [0, 1, 2, 8].map((index) => [`kms:RecipientAttestation:PCR${index}`, `${index}a`.repeat(48)] as const);
const PEER = "bare signature check of the request";

const policyOf = (...Statement: readonly object[]): string => JSON.stringify({ Version: "2012-10-17", Statement });

const KEY_POLICY = policyOf(
  { Sid: "Administration", Effect: "Allow", Principal: { AWS: ACCOUNT }, Action: "kms:*", Resource: "*" },
  {
    Sid: "Enclave",
    Effect: "Allow",
    Principal: { AWS: ROLE },
    Action: ["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateRandom"],
    Resource: "*",
    Condition: {
      StringEqualsIgnoreCase: Object.fromEntries(PCRS),
      StringEquals: { "kms:EncryptionContext:tenant": `\${aws:PrincipalTag/tenant}` },
    },
  },
  {
    Sid: "OnlyAttested",
    Effect: "Deny",
    Principal: "*",
    Action: "kms:Decrypt",
    Resource: "*",
    Condition: { Null: { "kms:RecipientAttestation:PCR0": "true" } },
  },
);
const IDENTITY_POLICIES = [
  policyOf({ Effect: "Allow", Action: ["s3:GetObject", "s3:ListBucket"], Resource: "arn:aws:s3:::data/*" }),
  policyOf({ Effect: "Allow", Action: "kms:Decrypt", Resource: `arn:aws:kms:*:${ACCOUNT}:key/*` }),
];
const REGIONS = policyOf(
  { Effect: "Allow", Action: "*", Resource: "*" },
  {
    Effect: "Deny",
    NotAction: ["iam:*", "organizations:*", "sts:*"],
    Resource: "*",
    Condition: { StringNotEquals: { "aws:RequestedRegion": [REGION, "eu-central-1"] } },
  },
);

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const effort = { pairs: smoke ? 50 : 400, runLength: 200 };
  const check = signatureCheck();
  const cases = [
    { name: "policy decision, allowed", call: decider(request("a"), true), bound: 1 },
    { name: "policy decision, denied", call: decider(request("b"), false), bound: 1 },
    { name: "policy decision, explained", call: explainer(request("b")) },
  ];
  const floors: number[] = [];
  const rows = cases.map(({ name, call, bound }): Row => {
    const { floor, ...row } = compare(check, call, effort);
    floors.push(floor);
    return { name, ...row, unit: "µs", peer: PEER, ...(bound === undefined ? {} : { bound }) };
  });
  return [{ name: PEER, median: median(floors), unit: "µs" }, ...rows];
}

/** The request with an encryption context of that tenant; the caller is of tenant a. */
function request(tenant: string): AuthorizationRequest {
  const level = [compileIdentityPolicy(REGIONS), compileIdentityPolicy(ADMINISTRATOR_POLICY)];
  return {
    principal: {
      kind: "session",
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/parent/i-0123456789abcdef0`,
      accountId: ACCOUNT,
      userId: "AROAEXAMPLE:i-0123456789abcdef0",
      roleArn: ROLE,
      policies: tenant === "a" ? IDENTITY_POLICIES.map((text) => compileIdentityPolicy(text)) : [],
      serviceControlPolicies: [level, level],
    },
    resource: { arn: KEY, accountId: ACCOUNT, keyPolicy: compileKeyPolicy(KEY_POLICY) },
    action: "kms:Decrypt",
    values: new Map(
      [
        ...PCRS,
        ["kms:EncryptionContext:tenant", tenant] as const,
        ["aws:PrincipalTag/tenant", "a"] as const,
        ["aws:PrincipalArn", ROLE] as const,
        ["aws:RequestedRegion", REGION] as const,
      ].map(([key, value]) => [key.toLowerCase(), [value]]),
    ),
  };
}

function decider(asked: AuthorizationRequest, expected: boolean): () => void {
  return () => {
    if (authorize(asked).allowed !== expected) throw new Error("a decision is wrong");
  };
}

function explainer(asked: AuthorizationRequest): () => void {
  return () => {
    if (explainAuthorization(asked).policies.length < 5) throw new Error("an explanation lacks policies");
  };
}

/** The check of a Decrypt with an attestation document of usual length. */
function signatureCheck(): () => void {
  const now = new Date("2026-01-01T00:00:00Z");
  const principals = new Principals({ accountId: ACCOUNT, region: REGION, clock: () => now });
  const key = principals.addUser({ name: "application" });
  const AttestationDocument = Buffer.alloc(5_000, 7).toString("base64");
  const body = Buffer.from(
    JSON.stringify({
      CiphertextBlob: Buffer.alloc(180, 7).toString("base64"),
      EncryptionContext: { tenant: "a" },
      Recipient: { AttestationDocument, KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256" },
    }),
  );
  const unsigned = { host: "localhost", operation: "TrentService.Decrypt", body, region: REGION, service: "kms", now };
  const rawHeaders = Object.entries(signRequest(unsigned, key)).flat();
  const signed: SignedRequest = { method: "POST", target: "/", rawHeaders, body };
  const scope = { isRegion: (name: string) => name === REGION, service: "kms", now };
  return () => {
    if (verifySignature(signed, principals, scope).region !== REGION) throw new Error("the signature is another's");
  };
}
