/** Callers of other accounts, and grants. */
import type { PolicyCase } from "./case.js";
import { ALICE, allow, BOB, DELEGATION, deny, FULL_ACCESS, KEY, OTHER_ACCOUNT, OTHER_ROOT, SESSION } from "./case.js";
import { CROSS_ACCOUNT, EXTERNAL_ACCOUNTS, GRANTS, KEY_ACCESS } from "./sources.js";

const use = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"];
const letIn = (AWS: string) => [DELEGATION, allow({ Principal: { AWS }, Action: use })];
const bobs = { caller: BOB, identityPolicies: [allow({ Resource: KEY })] } as const;
const nobody = allow({ Principal: { AWS: SESSION.roleArn } });
const theirRole = {
  ...SESSION,
  accountId: OTHER_ACCOUNT,
  arn: SESSION.arn.replace(/\d{12}/, OTHER_ACCOUNT),
  roleArn: SESSION.roleArn.replace(/\d{12}/, OTHER_ACCOUNT),
} as const;

export const ACROSS_ACCOUNTS_CASES: readonly PolicyCase[] = [
  {
    ...bobs,
    name: "Example 2: the key policy lets the account in, and IAM the caller",
    source: KEY_ACCESS,
    keyPolicy: letIn(OTHER_ROOT),
    ends: "allowed",
  },
  {
    name: "the key policy lets the account in, and IAM nobody",
    source: EXTERNAL_ACCOUNTS,
    caller: BOB,
    keyPolicy: letIn(OTHER_ROOT),
    ends: "not-allowed-by-identity-policy",
  },
  {
    ...bobs,
    name: "the key policy does not let the account in",
    source: EXTERNAL_ACCOUNTS,
    keyPolicy: DELEGATION,
    ends: "not-allowed-by-key-policy",
  },
  {
    name: "a user whom the key policy names needs an IAM policy too",
    source: EXTERNAL_ACCOUNTS,
    caller: BOB,
    keyPolicy: letIn(BOB.arn),
    ends: "not-allowed-by-identity-policy",
  },
  {
    ...bobs,
    name: "a user whom the key policy names, with an IAM policy",
    source: EXTERNAL_ACCOUNTS,
    keyPolicy: letIn(BOB.arn),
    ends: "allowed",
  },
  {
    name: "everybody in the key policy does not spare others their IAM policy",
    source: CROSS_ACCOUNT,
    caller: BOB,
    keyPolicy: allow({ Principal: "*" }),
    ends: "not-allowed-by-identity-policy",
  },
  {
    ...bobs,
    name: "the key policy's deny reaches other accounts",
    source: CROSS_ACCOUNT,
    keyPolicy: [...letIn(OTHER_ROOT), deny({ Principal: { AWS: BOB.arn } })],
    ends: "denied-by-key-policy",
  },
  {
    ...bobs,
    name: "permission for what is not done across accounts has no effect",
    source: EXTERNAL_ACCOUNTS,
    keyPolicy: allow({ Principal: { AWS: OTHER_ROOT } }),
    action: "kms:ScheduleKeyDeletion",
    ends: "not-allowed-by-key-policy",
  },
  {
    ...bobs,
    name: "permission for CreateGrant has",
    source: EXTERNAL_ACCOUNTS,
    keyPolicy: allow({ Principal: { AWS: OTHER_ROOT } }),
    action: "kms:CreateGrant",
    ends: "allowed",
  },
  {
    name: "another account's root user needs the key policy",
    source: CROSS_ACCOUNT,
    caller: { ...BOB, kind: "root", arn: OTHER_ROOT },
    keyPolicy: DELEGATION,
    ends: "not-allowed-by-key-policy",
  },
  {
    name: "and no more",
    source: CROSS_ACCOUNT,
    caller: { ...BOB, kind: "root", arn: OTHER_ROOT },
    keyPolicy: letIn(OTHER_ROOT),
    ends: "allowed",
  },
  {
    ...bobs,
    name: "the caller's boundary limits it",
    source: CROSS_ACCOUNT,
    keyPolicy: letIn(BOB.arn),
    boundary: allow({ Action: "kms:Encrypt" }),
    ends: "not-allowed-by-boundary",
  },
  {
    name: "session policies limit even a session that the key policy names",
    source: CROSS_ACCOUNT,
    caller: theirRole,
    keyPolicy: letIn(theirRole.arn),
    identityPolicies: [allow()],
    sessionPolicies: [allow({ Action: "kms:Encrypt" })],
    ends: "not-allowed-by-session-policy",
  },
  {
    ...bobs,
    name: "the organisation of the caller's account limits it",
    source: CROSS_ACCOUNT,
    keyPolicy: letIn(OTHER_ROOT),
    serviceControlPolicies: [[{ ...FULL_ACCESS, Action: "s3:*" }]],
    ends: "not-allowed-by-service-control-policy",
  },
  {
    name: "a grant lets in whom no policy does",
    source: GRANTS,
    keyPolicy: nobody,
    granted: true,
    ends: "allowed",
  },
  {
    name: "a grant that allows something else",
    source: GRANTS,
    keyPolicy: nobody,
    granted: false,
    ends: "not-allowed-by-key-policy",
  },
  {
    name: "a grant beside a key policy that hands over",
    source: GRANTS,
    granted: true,
    ends: "allowed",
  },
  {
    name: "a grant to a principal of another account needs no IAM policy",
    source: KEY_ACCESS,
    caller: BOB,
    keyPolicy: nobody,
    granted: true,
    ends: "allowed",
  },
  {
    name: "a grant is no match for a deny of the key policy",
    source: KEY_ACCESS,
    keyPolicy: [DELEGATION, deny({ Principal: "*" })],
    granted: true,
    ends: "denied-by-key-policy",
  },
  {
    name: "nor for one of an identity policy",
    source: KEY_ACCESS,
    identityPolicies: [deny()],
    granted: true,
    ends: "denied-by-identity-policy",
  },
  {
    name: "nor for service control policies",
    source: KEY_ACCESS,
    granted: true,
    serviceControlPolicies: [[{ ...FULL_ACCESS, Action: "s3:*" }]],
    ends: "not-allowed-by-service-control-policy",
  },
  {
    name: "nor for the endpoint's policy",
    source: KEY_ACCESS,
    granted: true,
    endpointPolicy: allow({ Principal: { AWS: ALICE.arn }, Action: "kms:Encrypt" }),
    ends: "not-allowed-by-endpoint-policy",
  },
];
