/**
 * The actions that a key policy can permit to another account (KMS Developer Guide, "Allowing users in other accounts to
 * use a KMS key"; API Reference, "Cross-account use" of each operation): what it says to others about any other has no effect.
 */
const ACROSS_ACCOUNTS: ReadonlySet<string> = new Set(
  [
    "CreateGrant",
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "DescribeKey",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetKeyRotationStatus",
    "GetPublicKey",
    "ListGrants",
    "ReEncryptFrom",
    "ReEncryptTo",
    "RetireGrant",
    "RevokeGrant",
    "Sign",
    "Verify",
    "VerifyMac",
  ].map((name) => `kms:${name}`),
);

/** Whether another account's key can be asked for `action`; of services other than KMS nothing is known here. */
export const isEffectiveAcrossAccounts = (action: string): boolean =>
  !action.startsWith("kms:") || ACROSS_ACCOUNTS.has(action);
