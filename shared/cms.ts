/**
 * `CiphertextForRecipient`: the CMS EnvelopedData (RFC 5652 §6) with which AWS KMS answers a request that carries a
 * Nitro attestation document. This module reads its structure; enclave/kms/ciphertext-for-recipient.ts opens it.
 *
 * Taken, because genuine envelopes of 2020 to 2026 differ in it: definite and indefinite lengths, mixed; encryptedContent
 * as one primitive [0] or as a constructed [0] of OCTET STRING chunks; hash parameters NULL or absent (RFC 4055 §2.1).
 * Refused: every other form, above all SHA-1 or labelled OAEP (RFC 8017 §7.1), other versions than 2, more than one
 * recipient, originator info, unprotected attributes, nested chunks, and anything after the object. ber.ts says which
 * lengths are refused.
 *
 * Nothing here is secret: an envelope is built from public data by whoever likes, so one code, ERR_CMS_MALFORMED, stands
 * for every structural fault, and the messages may say which.
 */
import { BerReader, malformed, TAG } from "./ber.js";
import { concatBytes, copyBytes } from "./bytes.js";

/** AWS KMS API Reference: CiphertextForRecipient has at most 6144 bytes. */
export const MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES = 6144;

const RSA_2048_BYTES = 256;
const SHA_256_BYTES = 32;
const AES_BLOCK_BYTES = 16;

/** Contents octets of the object identifiers, in dotted form behind each. */
const OID = {
  envelopedData: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03), // 1.2.840.113549.1.7.3
  data: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01), // 1.2.840.113549.1.7.1
  rsaesOaep: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07), // 1.2.840.113549.1.1.7
  mgf1: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08), // 1.2.840.113549.1.1.8
  sha256: Uint8Array.of(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01), // 2.16.840.1.101.3.4.2.1
  aes256Cbc: Uint8Array.of(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a), // 2.16.840.1.101.3.4.1.42
} as const;

const VERSION_2 = Uint8Array.of(2);

/** What an envelope holds. None of it is authenticated: whoever has seen the public key can make one. */
export interface RecipientEnvelope {
  /** SHA-256 of the recipient's SubjectPublicKeyInfo, as KMS computes it. */
  readonly subjectKeyIdentifier: Uint8Array<ArrayBuffer>;
  /** The content-encryption key under RSAES-OAEP with SHA-256 and MGF1-SHA-256, no label. */
  readonly encryptedKey: Uint8Array<ArrayBuffer>;
  readonly iv: Uint8Array<ArrayBuffer>;
  /** AES-256-CBC, padded as PKCS#7: a positive multiple of 16 bytes. */
  readonly ciphertext: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a `CiphertextForRecipient`. On return the structure is exactly the profile's, and every field is an owned copy.
 * Does not check that the envelope is for any particular key, nor who made it: nothing in it could tell.
 * @throws ServiceError ERR_CMS_MALFORMED
 */
export function parseCiphertextForRecipient(ber: Uint8Array): RecipientEnvelope {
  if (ber.length > MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES) {
    throw malformed(`expected at most ${MAX_CIPHERTEXT_FOR_RECIPIENT_BYTES} bytes, got ${ber.length}`);
  }
  return BerReader.readAll(ber, (input) =>
    input.constructed(TAG.sequence, (contentInfo) => {
      contentInfo.expect(TAG.objectIdentifier, OID.envelopedData, "contentType");
      return contentInfo.constructed(TAG.contextConstructed(0), (content) =>
        content.constructed(TAG.sequence, readEnvelopedData),
      );
    }),
  );
}

/** RFC 5652 §6.1. */
function readEnvelopedData(envelopedData: BerReader): RecipientEnvelope {
  envelopedData.expect(TAG.integer, VERSION_2, "version of EnvelopedData");
  const recipient = envelopedData.constructed(TAG.set, (recipientInfos) =>
    recipientInfos.constructed(TAG.sequence, readKeyTransRecipientInfo),
  );
  const content = envelopedData.constructed(TAG.sequence, readEncryptedContentInfo);
  return { ...recipient, ...content };
}

/** RFC 5652 §6.2.1, in version 2: the recipient is named by subjectKeyIdentifier. */
function readKeyTransRecipientInfo(info: BerReader): Pick<RecipientEnvelope, "subjectKeyIdentifier" | "encryptedKey"> {
  info.expect(TAG.integer, VERSION_2, "version of KeyTransRecipientInfo");
  const identifier = info.primitiveOf(TAG.contextPrimitive(0), SHA_256_BYTES, "subjectKeyIdentifier");
  info.constructed(TAG.sequence, readRsaesOaep);
  const encryptedKey = info.primitiveOf(TAG.octetString, RSA_2048_BYTES, "encryptedKey");
  return { subjectKeyIdentifier: copyBytes(identifier), encryptedKey: copyBytes(encryptedKey) };
}

/**
 * RFC 4055 §4.1. The defaults of RSAES-OAEP-params are SHA-1, so both functions must be stated; pSourceAlgorithm must not.
 * KMS wrote an empty parameter SEQUENCE, SHA-1, in 2022: an envelope of that kind ends here.
 */
function readRsaesOaep(algorithm: BerReader): void {
  algorithm.expect(TAG.objectIdentifier, OID.rsaesOaep, "keyEncryptionAlgorithm");
  algorithm.constructed(TAG.sequence, (parameters) => {
    parameters.constructed(TAG.contextConstructed(0), (hash) => hash.constructed(TAG.sequence, readSha256));
    parameters.constructed(TAG.contextConstructed(1), (maskGeneration) =>
      maskGeneration.constructed(TAG.sequence, (mgf) => {
        mgf.expect(TAG.objectIdentifier, OID.mgf1, "mask generation function");
        mgf.constructed(TAG.sequence, readSha256);
      }),
    );
  });
}

/** RFC 4055 §2.1: parameters NULL or absent mean the same, and implementations must accept both. */
function readSha256(algorithm: BerReader): void {
  algorithm.expect(TAG.objectIdentifier, OID.sha256, "hash algorithm of OAEP");
  if (algorithm.hasMore()) algorithm.primitiveOf(TAG.null, 0, "NULL");
}

/** RFC 5652 §6.1, RFC 3565 §4.1 (the parameter of AES-CBC is its IV). */
function readEncryptedContentInfo(info: BerReader): Pick<RecipientEnvelope, "iv" | "ciphertext"> {
  info.expect(TAG.objectIdentifier, OID.data, "contentType of EncryptedContentInfo");
  const iv = info.constructed(TAG.sequence, (algorithm) => {
    algorithm.expect(TAG.objectIdentifier, OID.aes256Cbc, "contentEncryptionAlgorithm");
    return algorithm.primitiveOf(TAG.octetString, AES_BLOCK_BYTES, "IV");
  });
  const ciphertext = readEncryptedContent(info);
  if (ciphertext.length === 0 || ciphertext.length % AES_BLOCK_BYTES !== 0) {
    throw malformed(`encryptedContent is not a positive number of ${AES_BLOCK_BYTES}-byte blocks`);
  }
  return { iv: copyBytes(iv), ciphertext };
}

/** [0] IMPLICIT OCTET STRING: primitive, or constructed of primitive chunks (X.690 §8.7; KMS cuts at 1000 bytes). */
function readEncryptedContent(info: BerReader): Uint8Array<ArrayBuffer> {
  if (info.peek() === TAG.contextPrimitive(0)) return copyBytes(info.primitive(TAG.contextPrimitive(0)));
  return info.constructed(TAG.contextConstructed(0), (content) => {
    const chunks: Uint8Array[] = [];
    while (content.hasMore()) chunks.push(content.primitive(TAG.octetString));
    return concatBytes(...chunks);
  });
}
