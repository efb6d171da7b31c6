/**
 * Opens `CiphertextForRecipient` with the recipient's RSA-2048 key: RSAES-OAEP with SHA-256 (RFC 8017 §7.1.2), then
 * AES-256-CBC with PKCS#7 padding (RFC 5652 §6.3).
 *
 * AES-CBC is not authenticated and the recipient's key is public, so whoever relays KMS's answers can send envelopes of
 * their own and watch what happens (PITFALLS 17). Everything that depends on the private key therefore ends in one way,
 * after the same work: a content-encryption key that does not come out is replaced by a random one and decryption goes
 * on, as jose does after RFC 7516 §11.5; the padding is checked without a branch on its bytes; and one error without a
 * cause stands at the very end. JavaScript promises no constant time: a thrown OAEP error still costs microseconds.
 */
import type { KeyObject } from "node:crypto";
import { constants, createDecipheriv, createHash, createPublicKey, privateDecrypt, randomBytes } from "node:crypto";
import { copyBytes, equalBytes, wipe } from "../../shared/bytes.js";
import type { RecipientEnvelope } from "../../shared/cms.js";
import { parseCiphertextForRecipient } from "../../shared/cms.js";
import { ServiceError } from "../../shared/errors.js";

const CEK_BYTES = 32;
const BLOCK_BYTES = 16;

/** Opens one envelope: see `recipientOpener`. */
export type OpenEnvelope = (ciphertextForRecipient: Uint8Array) => Uint8Array<ArrayBuffer>;

/**
 * A function that opens envelopes made for `privateKey`; the key's identifier is computed once.
 *
 * What it returns is what *somebody* encrypted to the public key. That it was KMS follows only from how the envelope
 * arrived (TLS that ends in the enclave).
 * The returned function throws ServiceError ERR_CMS_MALFORMED for a structure outside the profile, and
 * ERR_DECRYPTION_FAILED, always alike, for another recipient, a wrong key, or wrong padding.
 * @throws TypeError when `privateKey` is not an RSA-2048 private key
 */
export function recipientOpener(privateKey: KeyObject): OpenEnvelope {
  assertRsa2048PrivateKey(privateKey);
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const keyIdentifier = createHash("sha256").update(spki).digest();
  const substitute = randomBytes(CEK_BYTES);
  return (ciphertextForRecipient) => {
    const envelope = parseCiphertextForRecipient(ciphertextForRecipient);
    // Depends on public data only, so nothing is lost by stopping here.
    if (!equalBytes(envelope.subjectKeyIdentifier, keyIdentifier)) throw decryptionFailed();
    return openEnvelope(envelope, privateKey, substitute);
  };
}

/**
 * Opens `ber` with `privateKey`, once. For many envelopes to one key take `recipientOpener`.
 * @throws TypeError when `privateKey` is not an RSA-2048 private key
 * @throws ServiceError ERR_CMS_MALFORMED, ERR_DECRYPTION_FAILED (as described there)
 */
export const openCiphertextForRecipient = (ber: Uint8Array, privateKey: KeyObject): Uint8Array<ArrayBuffer> =>
  recipientOpener(privateKey)(ber);

function assertRsa2048PrivateKey(key: KeyObject): void {
  if (key.type === "private" && key.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails?.modulusLength === 2048) {
    return;
  }
  throw new TypeError("the recipient's key must be an RSA-2048 private KeyObject");
}

function openEnvelope(envelope: RecipientEnvelope, privateKey: KeyObject, substitute: Uint8Array) {
  const decrypted = oaepDecrypt(envelope.encryptedKey, privateKey);
  const genuine = decrypted?.length === CEK_BYTES;
  const contentEncryptionKey = genuine ? decrypted : substitute;
  const decipher = createDecipheriv("aes-256-cbc", contentEncryptionKey, envelope.iv).setAutoPadding(false);
  const padded = decipher.update(envelope.ciphertext);
  decipher.final(); // empty: without automatic padding all blocks have come out
  const padding = paddingLength(padded);
  const plaintext = copyBytes(padded.subarray(0, padded.length - padding));
  wipe(padded, ...(decrypted ? [decrypted] : []));
  // A random key yields valid padding once in 256 times: the first failure must be remembered to the end.
  if (!genuine || padding === 0) {
    wipe(plaintext);
    throw decryptionFailed();
  }
  return plaintext;
}

function oaepDecrypt(encryptedKey: Uint8Array, privateKey: KeyObject): Uint8Array | undefined {
  try {
    // MGF1 takes the same hash unless told otherwise; no label.
    return privateDecrypt(
      { key: privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
      encryptedKey,
    );
  } catch {
    return undefined; // which step failed is the oracle of Manger (CRYPTO 2001): it goes no further than this line
  }
}

/**
 * The number of PKCS#7 padding bytes (1 to 16), or 0 if the padding is wrong: always looks at the whole last block and
 * never branches on what it holds.
 */
function paddingLength(padded: Uint8Array): number {
  const claimed = padded[padded.length - 1] ?? 0;
  // All masks are 0 for "no" and -1 for "yes": the sign of a difference, spread over 32 bits.
  let wrong = ((claimed - 1) >> 31) | ((BLOCK_BYTES - claimed) >> 31);
  for (let i = 1; i <= BLOCK_BYTES; i++) {
    const isPadding = (i - claimed - 1) >> 31;
    wrong |= isPadding & ((padded[padded.length - i] ?? 0) ^ claimed);
  }
  const isWrong = (wrong | -wrong) >> 31;
  return claimed & ~isWrong;
}

const decryptionFailed = (): ServiceError => new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
