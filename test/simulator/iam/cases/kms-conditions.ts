/** The condition keys of KMS in the policies of its documentation. */
import type { PolicyCase } from "./case.js";
import { allow, conditionCase, DELEGATION, deny, ROOT, SESSION } from "./case.js";
import { ATTESTATION_CONDITIONS, KMS_CONDITIONS } from "./sources.js";

const IMAGE = "9FEDCBA8".repeat(12);
const PCR4 = "1234abcd".repeat(12);

const attested = (Condition: object, values: PolicyCase["values"] = {}): Partial<PolicyCase> => ({
  caller: SESSION,
  keyPolicy: [
    { ...DELEGATION, Action: ["kms:Put*", "kms:Describe*"] },
    allow({
      Sid: "Enable enclave data processing",
      Principal: { AWS: SESSION.roleArn },
      Action: "kms:Decrypt",
      Condition,
    }),
  ],
  values,
});
const image = { StringEqualsIgnoreCase: { "kms:RecipientAttestation:ImageSha384": IMAGE } };
const registers = {
  StringEqualsIgnoreCase: { "kms:RecipientAttestation:PCR0": IMAGE, "kms:RecipientAttestation:PCR4": PCR4 },
};
const context = (Condition: object, values: NonNullable<PolicyCase["values"]>, holds: boolean, name: string) =>
  conditionCase(KMS_CONDITIONS, name, [Condition, values, holds]);

export const KMS_CONDITION_CASES: readonly PolicyCase[] = [
  {
    ...attested(image, { "kms:RecipientAttestation:ImageSha384": IMAGE.toLowerCase() }),
    name: "an enclave of the image that the policy names",
    source: ATTESTATION_CONDITIONS,
    ends: "allowed",
  },
  {
    ...attested(image, { "kms:RecipientAttestation:ImageSha384": "00".repeat(48) }),
    name: "an enclave of another image",
    source: ATTESTATION_CONDITIONS,
    ends: "not-allowed-by-key-policy",
  },
  {
    ...attested(image),
    name: "a request without an attestation document",
    source: ATTESTATION_CONDITIONS,
    ends: "not-allowed-by-key-policy",
  },
  {
    ...attested(registers, { "kms:RecipientAttestation:PCR0": IMAGE, "kms:RecipientAttestation:PCR4": PCR4 }),
    name: "two registers that are both right",
    source: ATTESTATION_CONDITIONS,
    ends: "allowed",
  },
  {
    ...attested(registers, { "kms:RecipientAttestation:PCR0": IMAGE, "kms:RecipientAttestation:PCR4": IMAGE }),
    name: "two registers of which one is wrong",
    source: ATTESTATION_CONDITIONS,
    ends: "not-allowed-by-key-policy",
  },
  context(
    { StringEquals: { "kms:EncryptionContext:AppName": "ExampleApp" } },
    { "kms:EncryptionContext:AppName": "ExampleApp", "kms:EncryptionContext:FilePath": "/var/opt/secrets/" },
    true,
    "an encryption context with the pair, among others",
  ),
  context(
    { StringEquals: { "kms:EncryptionContext:AppName": "ExampleApp" } },
    { "kms:EncryptionContext:AppName": "Other" },
    false,
    "an encryption context with another value",
  ),
  context(
    { StringEqualsIgnoreCase: { "kms:EncryptionContext:Appname": "ExampleApp" } },
    { "kms:EncryptionContext:AppName": "exampleapp" },
    true,
    "the case of the value matters to the operator, and that of the key to none",
  ),
  context(
    { StringEquals: { "kms:EncryptionContext:stage": ["RestrictedStage", "ExampleStage"] } },
    { "kms:EncryptionContext:stage": "ExampleStage" },
    true,
    "one of several values for a pair of the encryption context",
  ),
  context(
    { "ForAnyValue:StringEquals": { "kms:EncryptionContextKeys": "AppName" } },
    { "kms:EncryptionContextKeys": ["AppName", "Purpose"] },
    true,
    "a key of the encryption context that is required",
  ),
  context(
    { "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": ["AppName", "Purpose"] } },
    { "kms:EncryptionContextKeys": ["AppName", "Stage"] },
    false,
    "keys of the encryption context that are the only ones allowed",
  ),
  context({ Null: { "kms:EncryptionContextKeys": false } }, {}, false, "an encryption context is required"),
  context(
    { StringEquals: { "kms:CallerAccount": "111122223333", "kms:ViaService": "ec2.us-west-2.amazonaws.com" } },
    { "kms:CallerAccount": "111122223333", "kms:ViaService": "ec2.us-west-2.amazonaws.com" },
    true,
    "the caller's account by way of a service",
  ),
  context(
    { StringEquals: { "kms:ViaService": "ec2.us-west-2.amazonaws.com" } },
    {},
    false,
    "a call that came through no service",
  ),
  context({ StringEquals: { "kms:KeyOrigin": "AWS_KMS" } }, { "kms:KeyOrigin": "EXTERNAL" }, false, "the key's origin"),
  context(
    { StringLike: { "kms:RequestAlias": "alias/project-*" } },
    { "kms:RequestAlias": "alias/project-alpha" },
    true,
    "the alias that the request names the key by",
  ),
  context(
    { "ForAnyValue:StringLike": { "kms:ResourceAliases": "alias/project-*" } },
    { "kms:ResourceAliases": ["alias/test", "alias/project-alpha"] },
    true,
    "one of the key's aliases",
  ),
  context(
    { "ForAllValues:StringEquals": { "kms:GrantOperations": ["Decrypt", "Encrypt"] } },
    { "kms:GrantOperations": ["Decrypt", "CreateGrant"] },
    false,
    "a grant of more operations than allowed",
  ),
  context(
    { Bool: { "kms:GrantIsForAWSResource": true } },
    { "kms:GrantIsForAWSResource": "false" },
    false,
    "a grant that no service asks for",
  ),
  context(
    { NumericLessThanEquals: { "kms:RotationPeriodInDays": "180" } },
    { "kms:RotationPeriodInDays": "365" },
    false,
    "a rotation period that is too long",
  ),
  {
    name: "deletion is denied with a waiting period below 30 days",
    source: KMS_CONDITIONS,
    keyPolicy: [
      allow({ Principal: { AWS: ROOT } }),
      deny({
        Principal: "*",
        Action: "kms:ScheduleKeyDeletion",
        Condition: { NumericLessThan: { "kms:ScheduleKeyDeletionPendingWindowInDays": "30" } },
      }),
    ],
    identityPolicies: [allow()],
    action: "kms:ScheduleKeyDeletion",
    values: { "kms:ScheduleKeyDeletionPendingWindowInDays": "7" },
    ends: "denied-by-key-policy",
  },
];
