/**
 * Key specs and usages: what the KMS API knows (its enums, which decide what is a validation error) and what this
 * simulated KMS makes keys of (the rest answers UnsupportedOperationException).
 */
import { createSecretKey, generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { unsupported } from "../errors.js";
import type { KeyMaterial } from "./key-material.js";
import { newSymmetricMaterial } from "./key-material.js";

export const KEY_SPECS = [
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
  "ML_DSA_44",
  "ML_DSA_65",
  "ML_DSA_87",
  "ECC_NIST_EDWARDS25519",
] as const;
export type KeySpec = (typeof KEY_SPECS)[number];

export const KEY_USAGES = ["SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT"] as const;
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
] as const;
export type DataKeyPairSpec = (typeof DATA_KEY_PAIR_SPECS)[number];

export const ENCRYPTION_ALGORITHMS = ["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"] as const;
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[number];

export const MAC_ALGORITHMS = ["HMAC_SHA_224", "HMAC_SHA_256", "HMAC_SHA_384", "HMAC_SHA_512"] as const;
export type MacAlgorithm = (typeof MAC_ALGORITHMS)[number];

const pair = promisify(generateKeyPair);

const RSA_BITS: Readonly<Record<string, number>> = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 };
const CURVES: Readonly<Record<string, string>> = {
  ECC_NIST_P256: "prime256v1",
  ECC_NIST_P384: "secp384r1",
  ECC_NIST_P521: "secp521r1",
  ECC_SECG_P256K1: "secp256k1",
};

/** A key is as long as its algorithm's output (KMS Developer Guide, "HMAC key specs"). */
const MAC_BYTES: Readonly<Record<string, number>> = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };

/** The MAC algorithms of a key of this spec: one of an HMAC key, none of any other. */
export const macAlgorithmsOf = (spec: KeySpec): readonly MacAlgorithm[] =>
  MAC_ALGORITHMS.filter((algorithm) => algorithm === spec.replace("HMAC_", "HMAC_SHA_"));

/** Whether the spec is one of RSA. */
export const isRsa = (spec: string): boolean => RSA_BITS[spec] !== undefined;

/** The usages that a key of this spec may have here. */
export function usagesOf(spec: KeySpec): readonly KeyUsage[] {
  if (spec === "SYMMETRIC_DEFAULT" || isRsa(spec)) return ["ENCRYPT_DECRYPT"];
  if (MAC_BYTES[spec] !== undefined) return ["GENERATE_VERIFY_MAC"];
  return spec.startsWith("ECC_NIST_P") ? ["KEY_AGREEMENT"] : [];
}

/** The encryption algorithms of a key of this spec with ENCRYPT_DECRYPT. */
export function encryptionAlgorithmsOf(spec: KeySpec): readonly EncryptionAlgorithm[] {
  return isRsa(spec) ? ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] : ["SYMMETRIC_DEFAULT"];
}

/** New material of a KMS key. RSA takes a while: it is made off the main thread. */
export async function newMaterial(spec: KeySpec): Promise<KeyMaterial> {
  if (spec === "SYMMETRIC_DEFAULT") return newSymmetricMaterial();
  const macBytes = MAC_BYTES[spec];
  if (macBytes !== undefined) return { kind: "mac", secret: createSecretKey(randomBytes(macBytes)) };
  return { kind: "asymmetric", ...(await newKeyPair(spec)) };
}

/** A new key pair. @throws AwsError UnsupportedOperationException for specs that this KMS does not make. */
export async function newKeyPair(spec: KeySpec | DataKeyPairSpec) {
  const modulusLength = RSA_BITS[spec];
  if (modulusLength !== undefined) return pair("rsa", { modulusLength });
  if (spec === "ECC_NIST_EDWARDS25519") return pair("ed25519");
  const namedCurve = CURVES[spec];
  if (namedCurve === undefined) throw unsupported(`The key spec ${spec} is not supported by this simulated KMS.`);
  return pair("ec", { namedCurve });
}
