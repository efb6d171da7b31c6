/** Policies of the organisation, and of the VPC endpoint that a request comes through. */
import type { PolicyCase } from "./case.js";
import {
  ALICE,
  allow,
  DELEGATION,
  deny,
  FULL_ACCESS,
  RCP_FULL_ACCESS,
  ROOT_USER,
  SERVICE,
  SERVICE_LINKED,
  SESSION,
} from "./case.js";
import { EVALUATION, KMS_ENDPOINT, RCP, RCP_EVALUATION, SCP, SCPS } from "./sources.js";

/** A caller that would be allowed. */
const permitted = { identityPolicies: [allow()], ends: "allowed" } as const;
const others = { ...FULL_ACCESS, Action: "s3:*" };
const decryption = deny({ Action: "kms:Decrypt" });
const everybodysDecryption = { ...decryption, Principal: "*" };
const onlyOrganisation = {
  ...everybodysDecryption,
  Condition: {
    StringNotEqualsIfExists: { "aws:PrincipalOrgID": "o-exampleorgid" },
    BoolIfExists: { "aws:PrincipalIsAWSService": "false" },
  },
};

export const ORGANISATION_CASES: readonly PolicyCase[] = [
  {
    ...permitted,
    name: "every level allows",
    source: SCP,
    serviceControlPolicies: [[FULL_ACCESS], [FULL_ACCESS], [FULL_ACCESS]],
  },
  {
    ...permitted,
    name: "an account outside of an organisation has no such policies",
    source: SCPS,
  },
  {
    ...permitted,
    name: "a level in between does not allow",
    source: SCP,
    serviceControlPolicies: [[FULL_ACCESS], [others], [FULL_ACCESS]],
    ends: "not-allowed-by-service-control-policy",
  },
  {
    ...permitted,
    name: "a level without policies allows nothing",
    source: SCP,
    serviceControlPolicies: [[FULL_ACCESS], [], [FULL_ACCESS]],
    ends: "not-allowed-by-service-control-policy",
  },
  {
    ...permitted,
    name: "one of a level's policies is enough",
    source: SCP,
    serviceControlPolicies: [[FULL_ACCESS], [others, { ...FULL_ACCESS, Action: "kms:*" }]],
  },
  {
    ...permitted,
    name: "a deny on any level",
    source: SCP,
    serviceControlPolicies: [[FULL_ACCESS, decryption], [FULL_ACCESS]],
    ends: "denied-by-service-control-policy",
  },
  {
    name: "service control policies grant nothing",
    source: SCPS,
    serviceControlPolicies: [[FULL_ACCESS]],
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "they bind the root user of a member account",
    source: SCPS,
    caller: ROOT_USER,
    serviceControlPolicies: [[FULL_ACCESS, decryption]],
    ends: "denied-by-service-control-policy",
  },
  {
    name: "they bind those whom the key policy names",
    source: EVALUATION,
    keyPolicy: allow({ Principal: { AWS: ALICE.arn } }),
    serviceControlPolicies: [[others]],
    ends: "not-allowed-by-service-control-policy",
  },
  {
    name: "they do not bind service-linked roles",
    source: SCPS,
    caller: SERVICE_LINKED,
    keyPolicy: allow({ Principal: { AWS: SERVICE_LINKED.roleArn } }),
    serviceControlPolicies: [[decryption]],
    ends: "allowed",
  },
  {
    ...permitted,
    name: "a deny with a condition that holds",
    source: SCPS,
    serviceControlPolicies: [
      [FULL_ACCESS, deny({ Condition: { StringNotEquals: { "aws:RequestedRegion": ["eu-central-1"] } } })],
    ],
    values: { "aws:RequestedRegion": "us-west-2" },
    ends: "denied-by-service-control-policy",
  },
  {
    ...permitted,
    name: "a resource control policy that denies others leaves the organisation's principals alone",
    source: RCP,
    resourceControlPolicies: [[RCP_FULL_ACCESS, onlyOrganisation]],
    values: { "aws:PrincipalOrgID": "o-exampleorgid", "aws:PrincipalIsAWSService": "false" },
  },
  {
    ...permitted,
    name: "and denies others",
    source: RCP,
    resourceControlPolicies: [[RCP_FULL_ACCESS, onlyOrganisation]],
    values: { "aws:PrincipalOrgID": "o-anotherorgid", "aws:PrincipalIsAWSService": "false" },
    ends: "denied-by-resource-control-policy",
  },
  {
    name: "and leaves services alone where it says so",
    source: RCP,
    caller: SERVICE,
    keyPolicy: allow({ Principal: { Service: SERVICE.arn } }),
    resourceControlPolicies: [[RCP_FULL_ACCESS, onlyOrganisation]],
    values: { "aws:PrincipalIsAWSService": "true" },
    ends: "allowed",
  },
  {
    name: "a resource control policy binds services where it does not",
    source: RCP,
    caller: SERVICE,
    keyPolicy: allow({ Principal: { Service: SERVICE.arn } }),
    resourceControlPolicies: [[RCP_FULL_ACCESS, everybodysDecryption]],
    ends: "denied-by-resource-control-policy",
  },
  {
    name: "resource control policies grant nothing",
    source: RCP,
    resourceControlPolicies: [[RCP_FULL_ACCESS]],
    ends: "not-allowed-by-identity-policy",
  },
  {
    ...permitted,
    name: "a deny on any level of the resource's account",
    source: RCP_EVALUATION,
    resourceControlPolicies: [[RCP_FULL_ACCESS], [RCP_FULL_ACCESS, everybodysDecryption], [RCP_FULL_ACCESS]],
    ends: "denied-by-resource-control-policy",
  },
  {
    ...permitted,
    name: "full access is attached everywhere, and needs no mention",
    source: RCP_EVALUATION,
    resourceControlPolicies: [[], [{ ...everybodysDecryption, Action: "kms:Encrypt" }]],
  },
  {
    name: "they do not bind service-linked roles either",
    source: RCP,
    caller: SERVICE_LINKED,
    keyPolicy: allow({ Principal: { AWS: SERVICE_LINKED.roleArn } }),
    resourceControlPolicies: [[everybodysDecryption]],
    ends: "allowed",
  },
  {
    ...permitted,
    name: "they do not restrict kms:RetireGrant",
    source: RCP,
    action: "kms:RetireGrant",
    resourceControlPolicies: [[{ ...everybodysDecryption, Action: "kms:*" }]],
  },
  {
    ...permitted,
    name: "the resource's organisation is heard before the caller's",
    source: EVALUATION,
    serviceControlPolicies: [[decryption]],
    resourceControlPolicies: [[everybodysDecryption]],
    ends: "denied-by-resource-control-policy",
  },
  {
    ...permitted,
    name: "the default endpoint policy lets everything through",
    source: KMS_ENDPOINT,
    endpointPolicy: { ...FULL_ACCESS, Principal: "*" },
  },
  {
    ...permitted,
    name: "an endpoint policy that names the caller, the action and the key",
    source: KMS_ENDPOINT,
    endpointPolicy: allow({ Principal: { AWS: ALICE.arn }, Action: ["kms:Decrypt", "kms:GenerateDataKey"] }),
  },
  {
    ...permitted,
    name: "an endpoint policy without the action",
    source: KMS_ENDPOINT,
    endpointPolicy: allow({ Principal: { AWS: ALICE.arn }, Action: "kms:ListKeys" }),
    ends: "not-allowed-by-endpoint-policy",
  },
  {
    ...permitted,
    name: "an endpoint policy without the caller",
    source: KMS_ENDPOINT,
    endpointPolicy: allow({ Principal: { AWS: SESSION.roleArn } }),
    ends: "not-allowed-by-endpoint-policy",
  },
  {
    ...permitted,
    name: "an endpoint policy that denies",
    source: KMS_ENDPOINT,
    endpointPolicy: [{ ...FULL_ACCESS, Principal: "*" }, everybodysDecryption],
    ends: "denied-by-endpoint-policy",
  },
  {
    name: "an endpoint policy grants nothing",
    source: KMS_ENDPOINT,
    endpointPolicy: { ...FULL_ACCESS, Principal: "*" },
    ends: "not-allowed-by-identity-policy",
  },
  {
    name: "a key policy that lets nobody past another endpoint",
    source: KMS_ENDPOINT,
    identityPolicies: [allow()],
    keyPolicy: [
      DELEGATION,
      deny({ Principal: "*", Condition: { StringNotEquals: { "aws:sourceVpce": "vpce-1234abcdf5678c90a" } } }),
    ],
    values: { "aws:sourceVpce": "vpce-00000000000000000" },
    ends: "denied-by-key-policy",
  },
  {
    name: "nor past none",
    source: KMS_ENDPOINT,
    identityPolicies: [allow()],
    keyPolicy: [
      DELEGATION,
      deny({ Principal: "*", Condition: { StringNotEquals: { "aws:sourceVpce": "vpce-1234abcdf5678c90a" } } }),
    ],
    ends: "denied-by-key-policy",
  },
];
