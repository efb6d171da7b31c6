/** Encrypt and Decrypt (API_Encrypt, API_Decrypt), with symmetric keys and with RSA keys. */
import { constants, privateDecrypt, publicEncrypt } from "node:crypto";
import { z } from "zod";
import { openBlob, parseBlob, sealBlob } from "../ciphertext-blob.js";
import { invalidCiphertext, KmsError, validationError } from "../errors.js";
import type { EncryptionAlgorithm } from "../key-specs.js";
import { encryptionAlgorithmsOf } from "../key-specs.js";
import type { KmsKey } from "../keys.js";
import type { Call } from "../operation.js";
import { defineOperation, secretAnswer } from "../operation.js";
import {
  ciphertext,
  dryRun,
  encryptionAlgorithm,
  encryptionContext,
  grantTokens,
  keyId,
  plaintext,
  recipient,
} from "../schema.js";
import { assertUsable, blobKeyOf, contextConditions, demandOn, isMaterialOf, keyOf } from "./key-access.js";

const encryptInput = z.object({
  KeyId: keyId,
  Plaintext: plaintext,
  EncryptionContext: encryptionContext,
  EncryptionAlgorithm: encryptionAlgorithm,
  GrantTokens: grantTokens,
  DryRun: dryRun,
});

const decryptInput = z.object({
  CiphertextBlob: ciphertext,
  KeyId: keyId.optional(),
  EncryptionContext: encryptionContext,
  EncryptionAlgorithm: encryptionAlgorithm,
  GrantTokens: grantTokens,
  DryRun: dryRun,
  Recipient: recipient,
});

type DecryptInput = z.infer<typeof decryptInput>;

export const encrypt = defineOperation({
  name: "Encrypt",
  readOnly: true,
  input: encryptInput,
  subject: keyOf,
  demands: (call, key) => [demandOn(call, key, "Encrypt", algorithmConditions(call.input))],
  perform: ({ input }, key) => {
    const algorithm = algorithmFor(input, key, "Encrypt");
    assertNoContextForRsa(input, key);
    const { Plaintext: content, EncryptionContext: context = new Map() } = input;
    const { material } = key;
    const blob =
      material.kind === "symmetric"
        ? sealBlob(blobKeyOf(key, material), material.secret, content, context)
        : encryptRsa(key, algorithm, content);
    return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm };
  },
});

export const decrypt = defineOperation({
  name: "Decrypt",
  readOnly: true,
  input: decryptInput,
  subject: keyOfCiphertext,
  demands: (call, key) => [demandOn(call, key, "Decrypt", algorithmConditions(call.input))],
  perform: (call, key) => {
    const { input } = call;
    const algorithm = algorithmFor(input, key, "Decrypt");
    assertNoContextForRsa(input, key);
    const opened = key.material.kind === "symmetric" ? openSymmetric(input, key) : decryptRsa(key, algorithm, input);
    return {
      ...secretAnswer(call, "Plaintext", opened),
      KeyId: key.arn,
      EncryptionAlgorithm: algorithm,
      ...(key.material.kind === "symmetric" ? { KeyMaterialId: key.material.id } : {}),
    };
  },
});

function* algorithmConditions(input: z.infer<typeof encryptInput> | DecryptInput) {
  yield ["kms:EncryptionAlgorithm", [input.EncryptionAlgorithm ?? "SYMMETRIC_DEFAULT"]] as const;
  yield* contextConditions(input.EncryptionContext);
}

/**
 * The key that a Decrypt is about: the one inside a symmetric ciphertext, which must be the one that the request names if
 * it names one. An asymmetric ciphertext says nothing, so there the request has to.
 */
function keyOfCiphertext(call: Call<DecryptInput>): KmsKey {
  const { CiphertextBlob, KeyId, EncryptionAlgorithm = "SYMMETRIC_DEFAULT" } = call.input;
  const named = KeyId === undefined ? undefined : call.keys.resolve(KeyId, call.principal.accountId);
  if (EncryptionAlgorithm !== "SYMMETRIC_DEFAULT") {
    if (named === undefined) throw validationError("KeyId is required for asymmetric encryption algorithms.");
    return named;
  }
  // KMS says so of a key that cannot have made a symmetric ciphertext, whatever the ciphertext is.
  if (named !== undefined && named.material.kind !== "symmetric") throw incorrectKey("perform this operation");
  const key = call.keys.findByIdBytes(parseBlob(CiphertextBlob).keyId);
  if (key === undefined) throw invalidCiphertext();
  if (named !== undefined && named.keyId !== key.keyId) throw incorrectKey("decrypt this ciphertext");
  return key;
}

const incorrectKey = (what: string) =>
  new KmsError("IncorrectKeyException", `The key ID in the request does not identify a CMK that can ${what}.`);

/** @throws KmsError DisabledException, InvalidKeyUsageException */
function algorithmFor(
  input: { readonly EncryptionAlgorithm?: EncryptionAlgorithm | undefined },
  key: KmsKey,
  operation: string,
): EncryptionAlgorithm {
  assertUsable(key, operation, "ENCRYPT_DECRYPT");
  const algorithm = input.EncryptionAlgorithm ?? "SYMMETRIC_DEFAULT";
  if (!encryptionAlgorithmsOf(key.keySpec).includes(algorithm)) {
    throw new KmsError(
      "InvalidKeyUsageException",
      `Algorithm ${algorithm} is incompatible with key spec ${key.keySpec}.`,
    );
  }
  return algorithm;
}

/** RSA cannot authenticate a context; ignoring one would let its sender believe in it. */
function assertNoContextForRsa(input: z.infer<typeof encryptInput> | DecryptInput, key: KmsKey): void {
  if (key.material.kind === "asymmetric" && (input.EncryptionContext?.size ?? 0) > 0) {
    throw validationError("EncryptionContext is not supported for asymmetric keys.");
  }
}

function openSymmetric(input: DecryptInput, key: KmsKey): Uint8Array {
  const blob = parseBlob(input.CiphertextBlob);
  const { material } = key;
  if (material.kind !== "symmetric" || !isMaterialOf(material, blob.materialId)) throw invalidCiphertext();
  return openBlob(blob, material.secret, input.EncryptionContext ?? new Map());
}

const oaepHash = (algorithm: EncryptionAlgorithm): "sha1" | "sha256" =>
  algorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256";

function encryptRsa(key: KmsKey, algorithm: EncryptionAlgorithm, content: Uint8Array): Uint8Array {
  if (key.material.kind !== "asymmetric") throw new TypeError("encryptRsa takes an asymmetric key");
  const { publicKey } = key.material;
  const hashBytes = oaepHash(algorithm) === "sha1" ? 20 : 32;
  const limit = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8 - 2 * hashBytes - 2;
  if (content.length > limit) {
    throw validationError(
      `Algorithm ${algorithm} and key spec ${key.keySpec} cannot encrypt data larger than ${limit} bytes.`,
    );
  }
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt({ key: publicKey, padding, oaepHash: oaepHash(algorithm) }, content);
}

function decryptRsa(key: KmsKey, algorithm: EncryptionAlgorithm, input: DecryptInput): Uint8Array {
  if (key.material.kind !== "asymmetric") throw new TypeError("decryptRsa takes an asymmetric key");
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  try {
    const options = { key: key.material.privateKey, padding, oaepHash: oaepHash(algorithm) };
    return privateDecrypt(options, input.CiphertextBlob);
  } catch {
    throw invalidCiphertext(); // wrong key, wrong length and wrong padding answer alike
  }
}
