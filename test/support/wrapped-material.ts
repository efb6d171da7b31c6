/** Key material, wrapped as a client of KMS wraps it for an import (KMS Developer Guide, "Encrypt the key material"). */
import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import type { AlgorithmSpec } from "@aws-sdk/client-kms";

/** `publicKey` is the DER that GetParametersForImport gave. */
export function wrapMaterial(algorithm: AlgorithmSpec, publicKey: Uint8Array, material: Uint8Array): Uint8Array {
  const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  const oaepHash = algorithm.endsWith("SHA_1") ? "sha1" : "sha256";
  const seal = (bytes: Uint8Array) =>
    publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (!algorithm.startsWith("RSA_AES")) return seal(material);
  const aesKey = randomBytes(32);
  const cipher = createCipheriv("id-aes256-wrap-pad", aesKey, Buffer.from("A65959A6", "hex"));
  return Buffer.concat([seal(aesKey), cipher.update(material), cipher.final()]);
}
