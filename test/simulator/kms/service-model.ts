/**
 * What the KMS API asks of the members of its requests, as facts of the service model (API reference, "Request Parameters"):
 * which are required, their lengths, ranges, patterns and enums, these in the order in which AWS's errors list them.
 */

/** A member's constraints, and a value that satisfies them. */
export interface Member {
  readonly kind: "text" | "blob" | "number" | "enum" | "texts" | "enums" | "structures";
  readonly sample: unknown;
  readonly required?: boolean;
  /** Of the value, of its length, or of an item's length. */
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly values?: readonly string[];
  /** The enum that an error lists, where it is not `values`. */
  readonly shown?: readonly string[] | undefined;
  /** Its value is not shown even where there is none. */
  readonly sensitive?: boolean;
  /** How many items a list may have. */
  readonly most?: number;
}

export type Members = Readonly<Record<string, Member>>;

const required = (member: Member): Member => ({ ...member, required: true });

function text(min: number, max: number, pattern?: string, sample = "a".repeat(Math.max(min, 1))): Member {
  return { kind: "text", min, max, sample, ...(pattern === undefined ? {} : { pattern }) };
}

const bytes = (min: number, max: number, sensitive = false): Member => ({
  ...{ kind: "blob", min, max, sensitive, sample: Buffer.alloc(min).toString("base64") },
});

const number = (min: number, max: number): Member => ({ kind: "number", min, max, sample: min });

const oneOf = (values: readonly string[]): Member => ({ kind: "enum", values, sample: values[0] });

const oneOfEach = (values: readonly string[], least = 0, most = Infinity): Member => ({
  ...{ kind: "enums", values, most, sample: values.slice(0, Math.max(least, 1)) },
});

const texts = (min: number, max: number, most = Infinity): Member => ({
  ...{ kind: "texts", min, max, most, sample: ["a".repeat(min)] },
});

const keyId = text(1, 2048, "^\\p{ASCII}+$", "00000000-0000-0000-0000-000000000000");
const aliasName = text(1, 256, "^[a-zA-Z0-9:/_-]+$", "alias/a");
const principalId = text(1, 256, "^[\\w+=,.@:/-]+$");
const grantOperations = oneOfEach([
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
]);
const grantTokens = texts(1, 8192, 10);
const grantName = text(1, 256, "^[a-zA-Z0-9:/_-]+$");
const servicePrincipal = text(
  1,
  128,
  "^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$",
  "kms.amazonaws.com",
);
const policy = text(1, 131072, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+");
const description = text(0, 8192);
const keyUsage = oneOf([
  "ENCRYPT_DECRYPT",
  "SIGN_VERIFY",
  "GENERATE_VERIFY_MAC",
  "KEY_AGREEMENT",
  "ENCAPSULATE_DECAPSULATE",
]);
const customerMasterKeySpec = oneOf([
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "SYMMETRIC_DEFAULT",
  "HMAC_224",
  "HMAC_256",
  "HMAC_384",
  "HMAC_512",
  "SM2",
]);
const keySpec = oneOf([
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "ECC_NIST_EDWARDS25519",
  "SYMMETRIC_DEFAULT",
  "HMAC_224",
  "HMAC_256",
  "HMAC_384",
  "HMAC_512",
  "SM2",
  "ML_DSA_44",
  "ML_DSA_65",
  "ML_DSA_87",
  "ML_KEM_512",
  "ML_KEM_768",
  "ML_KEM_1024",
]);
const origin = oneOf(["AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]);
const tags: Member = { kind: "structures", sample: [{ TagKey: "a", TagValue: "b" }] };
const ciphertext = bytes(1, 6144);
const encapsulationAlgorithm = oneOf(["ML_KEM"]);
const encryptionAlgorithm = oneOf(["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE", "SYMMETRIC_DEFAULT"]);
const dryRunModifiers = oneOfEach(["IGNORE_CIPHERTEXT"]);
const keyMaterialId = text(64, 64, "^[a-f0-9]+$");
const keyAgreementAlgorithm = oneOf(["ECDH"]);
const publicKey = bytes(1, 8192);
const rotationPeriodInDays = number(90, 2560);
const plaintext = bytes(1, 4096, true);
const numberOfBytes = number(1, 1024);
const dataKeySpec: Member = { ...oneOf(["AES_256", "AES_128"]), shown: keySpec.values };
const dataKeyPairSpec = oneOf([
  "RSA_2048",
  "RSA_3072",
  "RSA_4096",
  "ECC_NIST_P256",
  "ECC_NIST_P384",
  "ECC_NIST_P521",
  "ECC_SECG_P256K1",
  "SM2",
  "ECC_NIST_EDWARDS25519",
  "ML_KEM_512",
  "ML_KEM_768",
  "ML_KEM_1024",
]);
const macAlgorithm = oneOf(["HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"]);
const policyName = text(1, 128, "[\\w]+");
const wrappingAlgorithm = oneOf([
  "RSAES_PKCS1_V1_5",
  "RSAES_OAEP_SHA_1",
  "RSAES_OAEP_SHA_256",
  "RSA_AES_KEY_WRAP_SHA_1",
  "RSA_AES_KEY_WRAP_SHA_256",
  "SM2PKE",
]);
const wrappingKeySpec = oneOf(["RSA_2048", "RSA_3072", "RSA_4096", "SM2"]);
const expirationModel = oneOf(["KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"]);
const importType = oneOf(["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"]);
const keyMaterialDescription = text(0, 256, "^[a-zA-Z0-9:/_\\s.-]+$");
const limit = number(1, 1000);
const marker = text(1, 1024, "[\\u0020-\\u00FF]*");
const grantId = text(1, 128);
const includeKeyMaterial = oneOf(["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]);
const resourceOwners = oneOfEach(["SELF", "OTHER_ACCOUNTS_VIA_RAM"], 1, 2);
const region = text(1, 32, "^([a-z]+-){2,3}\\d+$", "us-west-2");
const grantToken = text(1, 8192);
const pendingWindowInDays = number(1, 365);
const messageType = oneOf(["RAW", "DIGEST", "EXTERNAL_MU"]);
const signingAlgorithm = oneOf([
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
  "ECDSA_SHA_256",
  "ECDSA_SHA_384",
  "ECDSA_SHA_512",
  "ED25519_SHA_512",
  "ED25519_PH_SHA_512",
  "SM2DSA",
  "ML_DSA_SHAKE_256",
]);
const tagKeys = texts(1, 128);

/**
 * Each operation's members that have constraints. What belongs to custom key stores is left out. CiphertextBlob is
 * required of a request without DryRunModifiers.
 */
export const SERVICE_MODEL: Readonly<Record<string, Members>> = {
  CancelKeyDeletion: { KeyId: required(keyId) },
  CreateAlias: { AliasName: required(aliasName), TargetKeyId: required(keyId) },
  CreateGrant: {
    KeyId: required(keyId),
    GranteePrincipal: principalId,
    RetiringPrincipal: principalId,
    Operations: required(grantOperations),
    GrantTokens: grantTokens,
    Name: grantName,
    GranteeServicePrincipal: servicePrincipal,
    RetiringServicePrincipal: servicePrincipal,
  },
  CreateKey: {
    Policy: policy,
    Description: description,
    KeyUsage: keyUsage,
    CustomerMasterKeySpec: customerMasterKeySpec,
    KeySpec: keySpec,
    Origin: origin,
  },
  Decapsulate: {
    KeyId: required(keyId),
    SharedSecretCiphertextBlob: required(ciphertext),
    EncapsulationAlgorithm: required(encapsulationAlgorithm),
    GrantTokens: grantTokens,
  },
  Decrypt: {
    CiphertextBlob: required(ciphertext),
    GrantTokens: grantTokens,
    KeyId: keyId,
    EncryptionAlgorithm: encryptionAlgorithm,
    DryRunModifiers: dryRunModifiers,
  },
  DeleteAlias: { AliasName: required(aliasName) },
  DeleteImportedKeyMaterial: { KeyId: required(keyId), KeyMaterialId: keyMaterialId },
  DeriveSharedSecret: {
    KeyId: required(keyId),
    KeyAgreementAlgorithm: required(keyAgreementAlgorithm),
    PublicKey: required(publicKey),
    GrantTokens: grantTokens,
  },
  DescribeKey: { KeyId: required(keyId), GrantTokens: grantTokens },
  DisableKey: { KeyId: required(keyId) },
  DisableKeyRotation: { KeyId: required(keyId) },
  EnableKey: { KeyId: required(keyId) },
  EnableKeyRotation: { KeyId: required(keyId), RotationPeriodInDays: rotationPeriodInDays },
  Encapsulate: {
    KeyId: required(keyId),
    EncapsulationAlgorithm: required(encapsulationAlgorithm),
    GrantTokens: grantTokens,
  },
  Encrypt: {
    KeyId: required(keyId),
    Plaintext: required(plaintext),
    GrantTokens: grantTokens,
    EncryptionAlgorithm: encryptionAlgorithm,
  },
  GenerateDataKey: {
    KeyId: required(keyId),
    NumberOfBytes: numberOfBytes,
    KeySpec: dataKeySpec,
    GrantTokens: grantTokens,
  },
  GenerateDataKeyPair: { KeyId: required(keyId), KeyPairSpec: required(dataKeyPairSpec), GrantTokens: grantTokens },
  GenerateDataKeyPairWithoutPlaintext: {
    KeyId: required(keyId),
    KeyPairSpec: required(dataKeyPairSpec),
    GrantTokens: grantTokens,
  },
  GenerateDataKeyWithoutPlaintext: {
    KeyId: required(keyId),
    KeySpec: dataKeySpec,
    NumberOfBytes: numberOfBytes,
    GrantTokens: grantTokens,
  },
  GenerateMac: {
    Message: required(plaintext),
    KeyId: required(keyId),
    MacAlgorithm: required(macAlgorithm),
    GrantTokens: grantTokens,
  },
  GenerateRandom: { NumberOfBytes: numberOfBytes },
  GetKeyLastUsage: { KeyId: required(keyId) },
  GetKeyPolicy: { KeyId: required(keyId), PolicyName: policyName },
  GetKeyRotationStatus: { KeyId: required(keyId) },
  GetParametersForImport: {
    KeyId: required(keyId),
    WrappingAlgorithm: required(wrappingAlgorithm),
    WrappingKeySpec: required(wrappingKeySpec),
  },
  GetPublicKey: { KeyId: required(keyId), GrantTokens: grantTokens },
  ImportKeyMaterial: {
    KeyId: required(keyId),
    ImportToken: required(ciphertext),
    EncryptedKeyMaterial: required(ciphertext),
    ExpirationModel: expirationModel,
    ImportType: importType,
    KeyMaterialDescription: keyMaterialDescription,
    KeyMaterialId: keyMaterialId,
  },
  ListAliases: { KeyId: keyId, Limit: limit, Marker: marker },
  ListGrants: {
    Limit: limit,
    Marker: marker,
    KeyId: required(keyId),
    GrantId: grantId,
    GranteePrincipal: principalId,
    GranteeServicePrincipal: servicePrincipal,
  },
  ListKeyPolicies: { KeyId: required(keyId), Limit: limit, Marker: marker },
  ListKeyRotations: { KeyId: required(keyId), IncludeKeyMaterial: includeKeyMaterial, Limit: limit, Marker: marker },
  ListKeys: { Limit: limit, Marker: marker, ResourceOwners: resourceOwners },
  ListResourceTags: { KeyId: required(keyId), Limit: limit, Marker: marker },
  ListRetirableGrants: {
    Limit: limit,
    Marker: marker,
    RetiringPrincipal: principalId,
    RetiringServicePrincipal: servicePrincipal,
  },
  PutKeyPolicy: { KeyId: required(keyId), PolicyName: policyName, Policy: required(policy) },
  ReEncrypt: {
    CiphertextBlob: required(ciphertext),
    SourceKeyId: keyId,
    DestinationKeyId: required(keyId),
    SourceEncryptionAlgorithm: encryptionAlgorithm,
    DestinationEncryptionAlgorithm: encryptionAlgorithm,
    GrantTokens: grantTokens,
    DryRunModifiers: dryRunModifiers,
  },
  ReplicateKey: { KeyId: required(keyId), ReplicaRegion: required(region), Policy: policy, Description: description },
  RetireGrant: { GrantToken: grantToken, KeyId: keyId, GrantId: grantId },
  RevokeGrant: { KeyId: required(keyId), GrantId: required(grantId) },
  RotateKeyOnDemand: { KeyId: required(keyId) },
  ScheduleKeyDeletion: { KeyId: required(keyId), PendingWindowInDays: pendingWindowInDays },
  Sign: {
    KeyId: required(keyId),
    Message: required(plaintext),
    MessageType: messageType,
    GrantTokens: grantTokens,
    SigningAlgorithm: required(signingAlgorithm),
  },
  TagResource: { KeyId: required(keyId), Tags: required(tags) },
  UntagResource: { KeyId: required(keyId), TagKeys: required(tagKeys) },
  UpdateAlias: { AliasName: required(aliasName), TargetKeyId: required(keyId) },
  UpdateKeyDescription: { KeyId: required(keyId), Description: required(description) },
  UpdatePrimaryRegion: { KeyId: required(keyId), PrimaryRegion: required(region) },
  Verify: {
    KeyId: required(keyId),
    Message: required(plaintext),
    MessageType: messageType,
    Signature: required(ciphertext),
    SigningAlgorithm: required(signingAlgorithm),
    GrantTokens: grantTokens,
  },
  VerifyMac: {
    Message: required(plaintext),
    KeyId: required(keyId),
    MacAlgorithm: required(macAlgorithm),
    Mac: required(ciphertext),
    GrantTokens: grantTokens,
  },
};
