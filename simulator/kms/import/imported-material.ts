/**
 * Imported bytes as key material (KMS Developer Guide, "Requirements for imported key material"): 32 bytes for a symmetric
 * encryption key, as many as its algorithm puts out for an HMAC key, and PKCS #8 (RFC 5958) for a key pair.
 */
import { createSecretKey, hkdfSync } from "node:crypto";
import { AwsError } from "../../errors.js";
import type { KmsKey } from "../key.js";
import type { KeyMaterial } from "../key-material.js";
import { decodePrivateKey, encodePublicKey } from "../key-pairs.js";
import { isAsymmetric } from "../key-specs.js";
import { MAC_BYTES } from "../new-material.js";

export interface ImportedMaterial {
  /** The same for the same material of the same key, in every Region. */
  readonly id: string;
  readonly material: KeyMaterial;
}

const SYMMETRIC_BYTES = 32;
const MATERIAL_ID_BYTES = 32;

/** @throws AwsError IncorrectKeyMaterialException for what is no material of such a key */
export function importedMaterial({ keyId, keySpec }: KmsKey, bytes: Uint8Array): ImportedMaterial {
  if (isAsymmetric(keySpec)) {
    const pair = decodePrivateKey(keySpec, bytes);
    if (pair === undefined) throw incorrect(`The key material is not a ${keySpec} private key in PKCS #8.`);
    return { id: materialId(keyId, encodePublicKey(pair)), material: pair };
  }
  const length = MAC_BYTES[keySpec] ?? SYMMETRIC_BYTES;
  if (bytes.length !== length) throw incorrect(`The key material of a ${keySpec} key must be ${length} bytes long.`);
  const [id, secret] = [materialId(keyId, bytes), createSecretKey(bytes)];
  return {
    id,
    material: keySpec === "SYMMETRIC_DEFAULT" ? { kind: "symmetric", id, secret } : { kind: "mac", secret },
  };
}

/** Says what the derived bytes are for: no operation of the key gives them, not a GenerateMac over the key id either. */
const MATERIAL_ID = "nitro-decrypt/simulated-kms/material-id/v1";

/** KMS computes the id from the key id and the material (API_ImportKeyMaterial). It does not give the material away. */
const materialId = (keyId: string, material: Uint8Array): string =>
  Buffer.from(hkdfSync("sha256", material, MATERIAL_ID, keyId, MATERIAL_ID_BYTES)).toString("hex"); // RFC 5869

export const incorrect = (message: string): AwsError => new AwsError("IncorrectKeyMaterialException", message);
