/**
 * What Encrypt, Decrypt and ReEncrypt do to bytes: which key a ciphertext is of, whether key and algorithm go together, and
 * AES-256-GCM or RSAES-OAEP.
 */
import { constants, privateDecrypt, publicEncrypt } from "node:crypto";
import { equalBytes } from "../../../shared/bytes.js";
import { AwsError, invalidCiphertext, validationError } from "../../errors.js";
import { openBlob, parseBlob, sealBlob } from "../ciphertext-blob.js";
import type { EncryptionContext } from "../encryption-context.js";
import { hiddenKey } from "../hidden-key.js";
import type { KmsKey } from "../key.js";
import { findMaterial, keyIdBytes } from "../key.js";
import type { EncryptionAlgorithm } from "../key-specs.js";
import { encryptionAlgorithmsOf } from "../key-specs.js";
import type { Call } from "../operation.js";
import { memberMissing } from "../schema.js";
import { assertAlgorithm, assertUsable, blobKeyOf, materialOf } from "./key-access.js";

/** How bytes are encrypted: the members of a request, whatever their names in it. */
export interface Cipher {
  readonly algorithm: EncryptionAlgorithm;
  readonly context: EncryptionContext;
}

export const cipherOf = (
  algorithm: EncryptionAlgorithm | undefined,
  context: EncryptionContext | undefined,
): Cipher => ({
  algorithm: algorithm ?? "SYMMETRIC_DEFAULT",
  context: context ?? new Map(),
});

/** The members of a request that say what is to be decrypted. */
export interface CiphertextInput {
  readonly CiphertextBlob?: Uint8Array | undefined;
  readonly DryRun?: boolean | undefined;
  readonly DryRunModifiers?: readonly "IGNORE_CIPHERTEXT"[] | undefined;
}

/** The ciphertext of a request; undefined for a dry run that is to ignore it. @throws AwsError ValidationException */
export function ciphertextOf({ CiphertextBlob, DryRun, DryRunModifiers }: CiphertextInput): Uint8Array | undefined {
  if (DryRun === true && DryRunModifiers?.includes("IGNORE_CIPHERTEXT") === true) return undefined;
  if (CiphertextBlob === undefined) throw memberMissing("ciphertextBlob");
  return CiphertextBlob;
}

/**
 * The key of a ciphertext: the one that the request names, or else the one inside a symmetric ciphertext. An asymmetric one says
 * nothing, nor does one that is ignored, so there the request has to. `member` is what the request calls its key. For a key that
 * is not here there is a hidden one. Whether a named key is the right one, `assertSealedWith` says, to who may use it.
 * @throws AwsError NotFoundException, InvalidCiphertextException, ValidationException
 */
export function keyOfCiphertext(
  { keys, principal }: Pick<Call<unknown>, "keys" | "principal">,
  ciphertext: Uint8Array | undefined,
  { algorithm }: Cipher,
  { named: name, member }: { readonly named: string | undefined; readonly member: string },
): KmsKey {
  if (name !== undefined) return keys.resolve(name, principal.accountId);
  if (algorithm !== "SYMMETRIC_DEFAULT" || ciphertext === undefined) {
    throw validationError(`${member} must not be null`);
  }
  return keys.findByIdBytes(parseBlob(ciphertext).keyId) ?? hiddenKey("*", "");
}

/** @throws AwsError InvalidCiphertextException, IncorrectKeyException for a symmetric ciphertext of another key */
export function assertSealedWith(key: KmsKey, { algorithm }: Cipher, ciphertext: Uint8Array | undefined): void {
  if (algorithm !== "SYMMETRIC_DEFAULT" || ciphertext === undefined) return;
  const { keyId } = parseBlob(ciphertext);
  if (key.keySpec !== "SYMMETRIC_DEFAULT" || !equalBytes(keyId, keyIdBytes(key.keyId))) throw incorrectKey();
}

const incorrectKey = () =>
  new AwsError(
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
  );

/** @throws AwsError DisabledException, InvalidKeyUsageException, ValidationException */
export function assertFits({ algorithm, context }: Cipher, key: KmsKey, operation: string): void {
  assertUsable(key, operation, "ENCRYPT_DECRYPT");
  assertAlgorithm(key, algorithm, encryptionAlgorithmsOf(key.keySpec));
  // RSA cannot authenticate a context; ignoring one would let its sender believe in it.
  if (algorithm !== "SYMMETRIC_DEFAULT" && context.size > 0) {
    throw validationError("EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.");
  }
}

/** @throws AwsError ValidationException for what is too long for an RSA key */
export function encryptWith(key: KmsKey, { algorithm, context }: Cipher, content: Uint8Array): Uint8Array {
  if (algorithm !== "SYMMETRIC_DEFAULT") return encryptRsa(key, algorithm, content);
  const material = materialOf(key, "symmetric", "Encrypt");
  return sealBlob(blobKeyOf(key, material), material.secret, content, context);
}

/** The symmetric material that made a ciphertext of the key. @throws AwsError InvalidCiphertextException */
export const materialOfCiphertext = (key: KmsKey, { algorithm }: Cipher, ciphertext: Uint8Array) =>
  algorithm === "SYMMETRIC_DEFAULT" ? findMaterial(key, parseBlob(ciphertext).materialId) : undefined;

/** @throws AwsError InvalidCiphertextException, for whatever is wrong with it */
export function decryptWith(key: KmsKey, { algorithm, context }: Cipher, ciphertext: Uint8Array): Uint8Array {
  if (algorithm !== "SYMMETRIC_DEFAULT") return decryptRsa(key, algorithm, ciphertext);
  const blob = parseBlob(ciphertext);
  const material = findMaterial(key, blob.materialId);
  if (material === undefined) throw invalidCiphertext();
  return openBlob(blob, material.secret, context);
}

const oaepHash = (algorithm: EncryptionAlgorithm): "sha1" | "sha256" =>
  algorithm === "RSAES_OAEP_SHA_1" ? "sha1" : "sha256";

function encryptRsa(key: KmsKey, algorithm: EncryptionAlgorithm, content: Uint8Array): Uint8Array {
  const { publicKey } = materialOf(key, "asymmetric", "Encrypt");
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

function decryptRsa(key: KmsKey, algorithm: EncryptionAlgorithm, ciphertext: Uint8Array): Uint8Array {
  const { privateKey } = materialOf(key, "asymmetric", "Decrypt");
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  try {
    return privateDecrypt({ key: privateKey, padding, oaepHash: oaepHash(algorithm) }, ciphertext);
  } catch {
    throw invalidCiphertext(); // wrong key, wrong length and wrong padding answer alike
  }
}
