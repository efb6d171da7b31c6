/**
 * A grant: one key, whom it lets use that key, for which operations and under which constraints (KMS Developer Guide,
 * "Grants in AWS KMS"). It can only allow. Nothing about it changes from its making to its end.
 */
import type { KeyObject } from "node:crypto";
import type { CallerIdentity } from "../iam/caller-identity.js";
import type { GrantConstraints } from "./grant-constraints.js";
import { asStrictAs } from "./grant-constraints.js";
import type { KmsKey } from "./key.js";
import type { KeyUsage } from "./key-specs.js";

/** API_CreateGrant, `Operations`. */
export const GRANT_OPERATIONS = [
  "Decrypt",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyWithoutPlaintext",
  "ReEncryptFrom",
  "ReEncryptTo",
  "Sign",
  "Verify",
  "GetPublicKey",
  "CreateGrant",
  "RetireGrant",
  "DescribeKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateMac",
  "VerifyMac",
  "DeriveSharedSecret",
  "Encapsulate",
  "Decapsulate",
] as const;
export type GrantOperation = (typeof GRANT_OPERATIONS)[number];

/** What a grant is made of by whoever makes it. */
export interface GrantTerms {
  readonly name?: string | undefined;
  readonly granteePrincipal?: string | undefined;
  readonly granteeServicePrincipal?: string | undefined;
  readonly retiringPrincipal?: string | undefined;
  readonly retiringServicePrincipal?: string | undefined;
  readonly operations: readonly GrantOperation[];
  readonly constraints: GrantConstraints;
}

export interface Grant extends GrantTerms {
  /** 64 hexadecimal digits. */
  readonly grantId: string;
  readonly keyArn: string;
  readonly creationDate: Date;
  /** The root ARN of the account that made it. */
  readonly issuingAccount: string;
  /** What the grant's tokens are made with. */
  readonly tokenKey: KeyObject;
}

/** Of keys of every kind. */
const ON_EVERY_KEY: readonly GrantOperation[] = ["CreateGrant", "DescribeKey", "RetireGrant"];
const ON_SYMMETRIC_KEYS: readonly GrantOperation[] = [
  ...(["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyPair"] as const),
  ...(["GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPairWithoutPlaintext"] as const),
];
const BY_USAGE: Readonly<Record<KeyUsage, readonly GrantOperation[]>> = {
  ENCRYPT_DECRYPT: ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"],
  SIGN_VERIFY: ["Sign", "Verify", "GetPublicKey"],
  KEY_AGREEMENT: ["DeriveSharedSecret", "GetPublicKey"],
  GENERATE_VERIFY_MAC: ["GenerateMac", "VerifyMac"],
  ENCAPSULATE_DECAPSULATE: ["Encapsulate", "Decapsulate", "GetPublicKey"],
};

/** What a grant on this key can allow (KMS Developer Guide, "Grant operations"). */
export const grantOperationsOn = ({ keySpec, keyUsage }: KmsKey): readonly GrantOperation[] => [
  ...(keySpec === "SYMMETRIC_DEFAULT" ? ON_SYMMETRIC_KEYS : BY_USAGE[keyUsage]),
  ...ON_EVERY_KEY,
];

/** The names under which a grant may name a caller: itself and its role, or its whole account. */
export const namesOf = (caller: CallerIdentity): readonly string[] =>
  caller.roleArn === undefined ? [caller.arn] : [caller.arn, caller.roleArn];

/** Whether the grant's grantee is this caller itself. */
export const isGrantee = (grant: Grant, caller: CallerIdentity): boolean =>
  namesAnyOf(caller, grant.granteePrincipal, grant.granteeServicePrincipal);

/** Whether the grant's retiring principal is this caller itself. */
export const isRetiring = (grant: Grant, caller: CallerIdentity): boolean =>
  namesAnyOf(caller, grant.retiringPrincipal, grant.retiringServicePrincipal);

const namesAnyOf = (caller: CallerIdentity, principal: string | undefined, service: string | undefined): boolean =>
  namesOf(caller).some((name) => name === (caller.kind === "service" ? service : principal));

/**
 * Whether whoever may make grants only through a parent may make one of these terms: no more operations, and constraints at
 * least as strict (KMS Developer Guide, "Granting CreateGrant permission").
 */
export function within(terms: GrantTerms): (parent: GrantTerms) => boolean {
  const asStrict = asStrictAs(terms.constraints);
  return (parent) =>
    terms.operations.every((operation) => parent.operations.includes(operation)) && asStrict(parent.constraints);
}
