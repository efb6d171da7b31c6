/** Encapsulate and Decapsulate (API_Encapsulate, API_Decapsulate): ML-KEM (FIPS 203). */
import { z } from "zod";
import { invalidCiphertext } from "../../errors.js";
import type { KmsKey } from "../key.js";
import { ENCAPSULATION_ALGORITHMS } from "../key-specs.js";
import type { LatticeMaterial, MlKemSpec } from "../lattice-keys.js";
import { expandPrivateKey, isMlKem, ML_KEM } from "../lattice-keys.js";
import { defineOperation } from "../operation.js";
import { ciphertext, dryRun, grantTokens, keyId } from "../schema.js";
import { assertUsable, demandOn, keyOf, materialOf } from "./key-access.js";

const members = {
  KeyId: keyId,
  EncapsulationAlgorithm: z.enum(ENCAPSULATION_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
};

export const encapsulate = defineOperation({
  name: "Encapsulate",
  readOnly: true,
  input: z.object(members),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "Encapsulate")],
  perform: ({ input: { EncapsulationAlgorithm } }, key) => {
    const { spec, publicKey } = mlKemMaterial(key, "Encapsulate");
    const { sharedSecret: SharedSecret, cipherText } = ML_KEM[spec].encapsulate(publicKey);
    return { KeyId: key.arn, SharedSecret, SharedSecretCiphertextBlob: cipherText, EncapsulationAlgorithm };
  },
});

/**
 * A ciphertext of the right length always gives a secret: one of another key gives one that nobody else has (FIPS 203 §6.3,
 * implicit rejection).
 */
export const decapsulate = defineOperation({
  name: "Decapsulate",
  readOnly: true,
  input: z.object({ ...members, SharedSecretCiphertextBlob: ciphertext }),
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "Decapsulate")],
  perform: ({ input: { SharedSecretCiphertextBlob: blob, EncapsulationAlgorithm } }, key) => {
    const material = mlKemMaterial(key, "Decapsulate");
    const scheme = ML_KEM[material.spec];
    if (blob.length !== scheme.lengths.cipherText) throw invalidCiphertext();
    const SharedSecret = scheme.decapsulate(blob, expandPrivateKey(material));
    return { KeyId: key.arn, SharedSecret, EncapsulationAlgorithm };
  },
});

/** @throws AwsError as `assertUsable` */
function mlKemMaterial(key: KmsKey, operation: string): LatticeMaterial<MlKemSpec> {
  assertUsable(key, operation, "ENCAPSULATE_DECAPSULATE");
  const material = materialOf(key, "lattice", operation);
  if (!isMlKem(material)) throw new TypeError("a key that encapsulates is one of ML-KEM");
  return material;
}
