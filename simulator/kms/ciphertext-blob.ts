/**
 * Ciphertexts of symmetric keys in the outer shape that KMS gives them: a header whose base64 begins `AQICAH`, then a DER
 * pkcs7-encryptedData (RFC 5652 §8) with AES-256-GCM. The inside is ours:
 *
 *     01 02 02 00 78 | key id (16) | key material id (16) | 01 | salt (16) | length (4) | SEQUENCE { … nonce … sealed }
 *
 * Each blob has its own key, HKDF-SHA-256 of the key material and the salt, so that no number of blobs wears out the
 * nonces. The header and the encryption context are authenticated. Whatever is wrong with a blob, the answer is one:
 * InvalidCiphertextException without a text.
 */
import type { KeyObject } from "node:crypto";
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { concatBytes, copyBytes, equalBytes, utf8 } from "../../shared/bytes.js";
import { contextConstructed, readDer } from "../../shared/der.js";
import { invalidCiphertext } from "../errors.js";
import { contextExplicit, contextOctets, encodeDer, integer, OID, objectId, octetString, sequence } from "./asn1.js";
import type { EncryptionContext } from "./encryption-context.js";
import { encodeEncryptionContext, uint32 } from "./encryption-context.js";

/** Which key, and which of its materials, a blob was made with. Both are 16 bytes. */
export interface BlobKey {
  readonly keyId: Uint8Array;
  readonly materialId: Uint8Array;
}

/** A blob taken apart; nothing in it is authenticated yet. */
export interface UnverifiedBlob extends BlobKey {
  readonly header: Uint8Array;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

const PREFIX = Uint8Array.of(1, 2, 2, 0, 0x78);
const ID_BYTES = 16;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = PREFIX.length + 2 * ID_BYTES + 1 + SALT_BYTES;
const MAX_BLOB_BYTES = 6144;
const LABEL = utf8("nitro-decrypt/simulated-kms/ciphertext-blob/v1");
const CONTEXT_PRIMITIVE_0 = 0x80;

/** Seals `plaintext` under `material`, bound to the encryption context. */
export function sealBlob(
  key: BlobKey,
  material: KeyObject,
  plaintext: Uint8Array,
  context: EncryptionContext,
): Uint8Array<ArrayBuffer> {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const header = concatBytes(PREFIX, key.keyId, key.materialId, Uint8Array.of(1), salt);
  const cipher = createCipheriv("aes-256-gcm", blobKey(material, salt), nonce);
  cipher.setAAD(associatedData(header, context));
  const sealed = concatBytes(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  const der = encodeEncryptedData(nonce, sealed);
  return concatBytes(header, uint32(der.length), der);
}

/** Takes a blob apart. @throws AwsError InvalidCiphertextException if it is not one of ours. */
export function parseBlob(blob: Uint8Array): UnverifiedBlob {
  const header = blob.subarray(0, HEADER_BYTES);
  const der = copyBytes(blob.subarray(HEADER_BYTES + 4));
  if (
    blob.length > MAX_BLOB_BYTES ||
    !equalBytes(header.subarray(0, PREFIX.length), PREFIX) ||
    header[PREFIX.length + 2 * ID_BYTES] !== 1 ||
    !equalBytes(blob.subarray(HEADER_BYTES, HEADER_BYTES + 4), uint32(der.length))
  ) {
    throw invalidCiphertext();
  }
  return {
    header,
    keyId: header.subarray(PREFIX.length, PREFIX.length + ID_BYTES),
    materialId: header.subarray(PREFIX.length + ID_BYTES, PREFIX.length + 2 * ID_BYTES),
    salt: header.subarray(HEADER_BYTES - SALT_BYTES),
    ...decodeEncryptedData(der),
  };
}

/** Opens a blob under its material. @throws AwsError InvalidCiphertextException for any change, of the context too. */
export function openBlob(blob: UnverifiedBlob, material: KeyObject, context: EncryptionContext): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", blobKey(material, blob.salt), blob.nonce);
  decipher.setAAD(associatedData(blob.header, context));
  decipher.setAuthTag(blob.sealed.subarray(-TAG_BYTES));
  const plaintext = decipher.update(blob.sealed.subarray(0, -TAG_BYTES));
  try {
    return concatBytes(plaintext, decipher.final());
  } catch {
    throw invalidCiphertext(); // the tag does not fit: which of blob, context and key is wrong is not told
  }
}

function blobKey(material: KeyObject, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", material, salt, LABEL, 32));
}

const associatedData = (header: Uint8Array, context: EncryptionContext): Uint8Array =>
  concatBytes(LABEL, header, encodeEncryptionContext(context));

function encodeEncryptedData(nonce: Uint8Array, sealed: Uint8Array): Uint8Array {
  const algorithm = sequence(objectId(OID.aes256Gcm), sequence(octetString(nonce), integer(TAG_BYTES)));
  const content = sequence(objectId(OID.data), algorithm, contextOctets(0, sealed));
  return encodeDer(sequence(objectId(OID.encryptedData), contextExplicit(0, sequence(integer(0), content))));
}

function decodeEncryptedData(der: Uint8Array<ArrayBuffer>): { nonce: Uint8Array; sealed: Uint8Array } {
  try {
    const parts = readDer(der, MAX_BLOB_BYTES, (outer) =>
      outer.sequence((contentInfo) => {
        expectObjectId(contentInfo.objectIdentifier(), OID.encryptedData);
        return contentInfo.constructed(contextConstructed(0), (explicit) =>
          explicit.sequence((encryptedData) => {
            encryptedData.smallInteger();
            return encryptedData.sequence((content) => {
              expectObjectId(content.objectIdentifier(), OID.data);
              const nonce = content.sequence((algorithm) => {
                expectObjectId(algorithm.objectIdentifier(), OID.aes256Gcm);
                return algorithm.sequence((parameters) => {
                  const octets = parameters.octetString();
                  parameters.smallInteger();
                  return octets;
                });
              });
              return { nonce, sealed: content.content(CONTEXT_PRIMITIVE_0) };
            });
          }),
        );
      }),
    );
    // The nesting above is not authenticated: only the one encoding that we would write is taken.
    if (!equalBytes(encodeEncryptedData(parts.nonce, parts.sealed), der)) throw invalidCiphertext();
    if (parts.nonce.length !== NONCE_BYTES || parts.sealed.length < TAG_BYTES) throw invalidCiphertext();
    return parts;
  } catch {
    throw invalidCiphertext(); // whatever is malformed, a ciphertext has one error
  }
}

function expectObjectId(actual: string, expected: string): void {
  if (actual !== expected) throw invalidCiphertext();
}
