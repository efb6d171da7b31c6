/**
 * How key material is wrapped for its import (KMS Developer Guide, "Select a wrapping algorithm"): by RSAES-OAEP directly
 * (RFC 8017 §7.1), or under an AES-256 key by AES key wrap with padding (RFC 5649), with the AES key in front by RSAES-OAEP.
 */
import type { KeyObject } from "node:crypto";
import { constants, createDecipheriv, privateDecrypt } from "node:crypto";
import { wipe } from "../../../shared/bytes.js";
import { invalidCiphertext, validationError } from "../../errors.js";
import type { KeySpec } from "../key-specs.js";
import { isAsymmetric } from "../key-specs.js";

/** The enums of the service model, in its order. */
export const WRAPPING_ALGORITHMS = [
  "RSAES_PKCS1_V1_5",
  "RSAES_OAEP_SHA_1",
  "RSAES_OAEP_SHA_256",
  "RSA_AES_KEY_WRAP_SHA_1",
  "RSA_AES_KEY_WRAP_SHA_256",
  "SM2PKE",
] as const;
export type WrappingAlgorithm = (typeof WRAPPING_ALGORITHMS)[number];

export const WRAPPING_KEY_SPECS = ["RSA_2048", "RSA_3072", "RSA_4096", "SM2"] as const;
export type WrappingKeySpec = (typeof WRAPPING_KEY_SPECS)[number];

const isHybrid = (algorithm: WrappingAlgorithm): boolean => algorithm.startsWith("RSA_AES_KEY_WRAP_");

/** Whether KMS offers to wrap the material of such a key so. */
export function canWrap(spec: KeySpec, algorithm: WrappingAlgorithm, wrappingKeySpec: WrappingKeySpec): boolean {
  if (!isAsymmetric(spec)) return !isHybrid(algorithm);
  if (spec.startsWith("RSA_")) return isHybrid(algorithm);
  return isHybrid(algorithm) || spec !== "ECC_NIST_P521" || wrappingKeySpec !== "RSA_2048";
}

/** @throws AwsError ValidationException, InvalidCiphertextException */
export function unwrap(algorithm: WrappingAlgorithm, privateKey: KeyObject, wrapped: Uint8Array): Uint8Array {
  const rsaBytes = (privateKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const [first, rest] = [wrapped.subarray(0, rsaBytes), wrapped.subarray(rsaBytes)];
  if (first.length < rsaBytes || isHybrid(algorithm) !== rest.length > 0) {
    throw validationError("Invalid encrypted key size.");
  }
  try {
    const unwrapped = openOaep(algorithm, privateKey, first);
    return isHybrid(algorithm) ? unwrapPadded(unwrapped, rest) : unwrapped;
  } catch {
    throw invalidCiphertext(); // wrong key, wrong algorithm and damage answer alike
  }
}

function openOaep(algorithm: WrappingAlgorithm, key: KeyObject, ciphertext: Uint8Array): Uint8Array {
  const oaepHash = algorithm.endsWith("_SHA_1") ? "sha1" : "sha256";
  return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, ciphertext);
}

/** RFC 5649 §3: the first half of the alternative initial value. */
const ALTERNATIVE_INITIAL_VALUE = Buffer.from("a65959a6", "hex");

function unwrapPadded(aesKey: Uint8Array, wrapped: Uint8Array): Uint8Array {
  const decipher = createDecipheriv("id-aes256-wrap-pad", aesKey, ALTERNATIVE_INITIAL_VALUE);
  wipe(aesKey);
  const parts = [decipher.update(wrapped), decipher.final()];
  try {
    return Buffer.concat(parts);
  } finally {
    wipe(...parts);
  }
}
