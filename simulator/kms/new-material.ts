/** New material of a KMS key, of whatever spec. */
import { createSecretKey, randomBytes } from "node:crypto";
import type { KeyMaterial } from "./key-material.js";
import { newSymmetricMaterial } from "./key-material.js";
import { newKeyPair } from "./key-pairs.js";
import type { KeySpec } from "./key-specs.js";

/** A key is as long as its algorithm's output (KMS Developer Guide, "HMAC key specs"). */
export const MAC_BYTES: Readonly<Record<string, number>> = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };

/** @throws AwsError UnsupportedOperationException for specs that this KMS does not make, ThrottlingException */
export async function newMaterial(spec: KeySpec): Promise<KeyMaterial> {
  if (spec === "SYMMETRIC_DEFAULT") return newSymmetricMaterial();
  const macBytes = MAC_BYTES[spec];
  return macBytes === undefined ? newKeyPair(spec) : { kind: "mac", secret: createSecretKey(randomBytes(macBytes)) };
}
