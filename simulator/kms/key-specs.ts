/**
 * Key specs, usages and algorithms: the enums of the KMS service model, which decide what is a validation error, in the
 * order in which its errors list them, and which of them go together (KMS Developer Guide, "Key spec reference").
 */

/** The specs that CreateKey's deprecated CustomerMasterKeySpec knows. */
export const CUSTOMER_MASTER_KEY_SPECS = [
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
] as const;

export const KEY_SPECS = [
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
] as const;
export type KeySpec = (typeof KEY_SPECS)[number];

export const KEY_USAGES = [
  "ENCRYPT_DECRYPT",
  "SIGN_VERIFY",
  "GENERATE_VERIFY_MAC",
  "KEY_AGREEMENT",
  "ENCAPSULATE_DECAPSULATE",
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export const DATA_KEY_PAIR_SPECS = [
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
] as const;
export type DataKeyPairSpec = (typeof DATA_KEY_PAIR_SPECS)[number];

export const ENCRYPTION_ALGORITHMS = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE", "SYMMETRIC_DEFAULT"] as const;
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[number];

export const SIGNING_ALGORITHMS = [
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
] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

export const MAC_ALGORITHMS = ["HMAC_SHA_384", "HMAC_SHA_256", "HMAC_SHA_224", "HMAC_SHA_512"] as const;
export type MacAlgorithm = (typeof MAC_ALGORITHMS)[number];

export const KEY_AGREEMENT_ALGORITHMS = ["ECDH"] as const;
export const ENCAPSULATION_ALGORITHMS = ["ML_KEM"] as const;
export const MESSAGE_TYPES = ["RAW", "DIGEST", "EXTERNAL_MU"] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

const RSA_ENCRYPTION = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] as const;
const RSA_SIGNING = [
  "RSASSA_PKCS1_V1_5_SHA_256",
  "RSASSA_PKCS1_V1_5_SHA_384",
  "RSASSA_PKCS1_V1_5_SHA_512",
  "RSASSA_PSS_SHA_256",
  "RSASSA_PSS_SHA_384",
  "RSASSA_PSS_SHA_512",
] as const;

/** What the keys of a spec can do: for each usage that they may have, its algorithms as DescribeKey lists them. */
interface Abilities {
  readonly SIGN_VERIFY?: readonly SigningAlgorithm[];
  readonly ENCRYPT_DECRYPT?: readonly EncryptionAlgorithm[];
  readonly GENERATE_VERIFY_MAC?: readonly MacAlgorithm[];
  readonly KEY_AGREEMENT?: typeof KEY_AGREEMENT_ALGORITHMS;
  readonly ENCAPSULATE_DECAPSULATE?: typeof ENCAPSULATION_ALGORITHMS;
}

const RSA: Abilities = { ENCRYPT_DECRYPT: RSA_ENCRYPTION, SIGN_VERIFY: RSA_SIGNING };
const nistCurve = (signing: SigningAlgorithm): Abilities => ({
  SIGN_VERIFY: [signing],
  KEY_AGREEMENT: KEY_AGREEMENT_ALGORITHMS,
});
const ML_DSA: Abilities = { SIGN_VERIFY: ["ML_DSA_SHAKE_256"] };
const ML_KEM: Abilities = { ENCAPSULATE_DECAPSULATE: ENCAPSULATION_ALGORITHMS };

const ABILITIES: Readonly<Record<KeySpec, Abilities>> = {
  RSA_2048: RSA,
  RSA_3072: RSA,
  RSA_4096: RSA,
  ECC_NIST_P256: nistCurve("ECDSA_SHA_256"),
  ECC_NIST_P384: nistCurve("ECDSA_SHA_384"),
  ECC_NIST_P521: nistCurve("ECDSA_SHA_512"),
  ECC_SECG_P256K1: { SIGN_VERIFY: ["ECDSA_SHA_256"] },
  SYMMETRIC_DEFAULT: { ENCRYPT_DECRYPT: ["SYMMETRIC_DEFAULT"] },
  HMAC_224: { GENERATE_VERIFY_MAC: ["HMAC_SHA_224"] },
  HMAC_256: { GENERATE_VERIFY_MAC: ["HMAC_SHA_256"] },
  HMAC_384: { GENERATE_VERIFY_MAC: ["HMAC_SHA_384"] },
  HMAC_512: { GENERATE_VERIFY_MAC: ["HMAC_SHA_512"] },
  SM2: { SIGN_VERIFY: ["SM2DSA"], ENCRYPT_DECRYPT: ["SM2PKE"], KEY_AGREEMENT: KEY_AGREEMENT_ALGORITHMS },
  ML_DSA_44: ML_DSA,
  ML_DSA_65: ML_DSA,
  ML_DSA_87: ML_DSA,
  ECC_NIST_EDWARDS25519: { SIGN_VERIFY: ["ED25519_PH_SHA_512", "ED25519_SHA_512"] },
  ML_KEM_512: ML_KEM,
  ML_KEM_768: ML_KEM,
  ML_KEM_1024: ML_KEM,
};

/** Whether a key of this spec may have this usage. */
export const mayHaveUsage = (spec: KeySpec, usage: KeyUsage): boolean => ABILITIES[spec][usage] !== undefined;

/** The encryption algorithms of a key of this spec with ENCRYPT_DECRYPT. */
export const encryptionAlgorithmsOf = (spec: KeySpec): readonly EncryptionAlgorithm[] =>
  ABILITIES[spec].ENCRYPT_DECRYPT ?? [];
/** The signing algorithms of a key of this spec with SIGN_VERIFY. */
export const signingAlgorithmsOf = (spec: KeySpec): readonly SigningAlgorithm[] => ABILITIES[spec].SIGN_VERIFY ?? [];
/** The MAC algorithms of a key of this spec: one of an HMAC key, none of any other. */
export const macAlgorithmsOf = (spec: KeySpec): readonly MacAlgorithm[] => ABILITIES[spec].GENERATE_VERIFY_MAC ?? [];

const ALGORITHM_MEMBERS: Readonly<Record<KeyUsage, string>> = {
  SIGN_VERIFY: "SigningAlgorithms",
  ENCRYPT_DECRYPT: "EncryptionAlgorithms",
  GENERATE_VERIFY_MAC: "MacAlgorithms",
  KEY_AGREEMENT: "KeyAgreementAlgorithms",
  ENCAPSULATE_DECAPSULATE: "EncapsulationAlgorithms",
};

/** The member by which DescribeKey and GetPublicKey tell what a key can do, the one of its usage. */
export const algorithmMembers = (spec: KeySpec, usage: KeyUsage): Readonly<Record<string, readonly string[]>> => ({
  [ALGORITHM_MEMBERS[usage]]: ABILITIES[spec][usage] ?? [],
});

/** Whether keys of this spec are pairs of a public and a private key. */
export const isAsymmetric = (spec: KeySpec): boolean => spec !== "SYMMETRIC_DEFAULT" && !spec.startsWith("HMAC_");
