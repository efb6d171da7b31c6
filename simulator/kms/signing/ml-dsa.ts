/**
 * ML-DSA (FIPS 204), pure and with an empty context, hedged with fresh randomness. An EXTERNAL_MU message is the
 * representative μ that §6.2 computes from public key and message, so both ways sign the same.
 */
import type { LatticeMaterial, MlDsaSpec } from "../lattice-keys.js";
import { expandPrivateKey, ML_DSA } from "../lattice-keys.js";
import type { Message } from "./message.js";

type MlDsaMaterial = LatticeMaterial<MlDsaSpec>;

export function signMlDsa(material: MlDsaMaterial, { type, bytes }: Message): Uint8Array {
  const scheme = ML_DSA[material.spec];
  const privateKey = expandPrivateKey(material);
  return type === "EXTERNAL_MU"
    ? scheme.internal.sign(bytes, privateKey, { externalMu: true })
    : scheme.sign(bytes, privateKey);
}

export function verifyMlDsa(material: MlDsaMaterial, { type, bytes }: Message, signature: Uint8Array): boolean {
  const scheme = ML_DSA[material.spec];
  return type === "EXTERNAL_MU"
    ? scheme.internal.verify(signature, bytes, material.publicKey, { externalMu: true })
    : scheme.verify(signature, bytes, material.publicKey);
}
