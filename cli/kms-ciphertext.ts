/**
 * The `CiphertextBlob` of AWS KMS's symmetric keys, as far as its outer shape is known from observation (AWS documents
 * none of it): `01 02 nn 00 78`, 32 opaque bytes, `01`, 16 opaque bytes, a four-byte length, and a CMS EncryptedData in
 * AES-256-GCM. In base64 it starts with AQI. The ARN of its key is not in it, and the blobs of asymmetric keys have no
 * shape at all.
 */
import { BerReader, TAG } from "../shared/ber.js";
import { toHex } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";

const FIRST_OPAQUE = { start: 5, end: 37 };
const SECOND_OPAQUE = { start: 38, end: 54 };
const CONTENT_START = 58;

export interface KmsCiphertext {
  readonly prefix: string;
  /** Same for all ciphertexts of one key, as far as seen. */
  readonly keyBytes: string;
  readonly otherBytes: string;
  /** Undefined when what follows is not the EncryptedData described above. */
  readonly content: { readonly nonce: string; readonly tagBytes: number; readonly sealedBytes: number } | undefined;
}

/** Whether `bytes` starts as a KMS ciphertext does. */
export const looksLikeKmsCiphertext = (bytes: Uint8Array): boolean =>
  bytes.length > CONTENT_START && bytes[0] === 1 && bytes[1] === 2 && bytes[3] === 0 && bytes[4] === 0x78;

/** The parts of a blob that `looksLikeKmsCiphertext`. */
export function parseKmsCiphertext(bytes: Uint8Array): KmsCiphertext {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const contents = bytes.subarray(CONTENT_START);
  return {
    prefix: toHex(bytes.subarray(0, FIRST_OPAQUE.start)),
    keyBytes: toHex(bytes.subarray(FIRST_OPAQUE.start, FIRST_OPAQUE.end)),
    otherBytes: toHex(bytes.subarray(SECOND_OPAQUE.start, SECOND_OPAQUE.end)),
    content: view.getUint32(SECOND_OPAQUE.end) === contents.length ? parseEncryptedData(contents) : undefined,
  };
}

/** RFC 5652 §8 with the AES-GCM parameters of RFC 5084 §3.2; undefined when it is something else. */
function parseEncryptedData(der: Uint8Array): KmsCiphertext["content"] {
  try {
    return BerReader.readAll(der, (input) =>
      input.constructed(TAG.sequence, (contentInfo) => {
        contentInfo.expect(TAG.objectIdentifier, OID.encryptedData, "contentType");
        return contentInfo.constructed(TAG.contextConstructed(0), (content) =>
          content.constructed(TAG.sequence, readEncryptedData),
        );
      }),
    );
  } catch (error) {
    if (error instanceof ServiceError) return undefined;
    throw error;
  }
}

function readEncryptedData(encryptedData: BerReader): KmsCiphertext["content"] {
  encryptedData.expect(TAG.integer, Uint8Array.of(0), "version of EncryptedData");
  return encryptedData.constructed(TAG.sequence, (info) => {
    info.expect(TAG.objectIdentifier, OID.data, "contentType of EncryptedContentInfo");
    const parameters = info.constructed(TAG.sequence, (algorithm) => {
      algorithm.expect(TAG.objectIdentifier, OID.aes256Gcm, "contentEncryptionAlgorithm");
      return algorithm.constructed(TAG.sequence, (gcm) => ({
        nonce: toHex(gcm.primitive(TAG.octetString)),
        tagBytes: gcm.primitiveOf(TAG.integer, 1, "length of the tag")[0] ?? 0,
      }));
    });
    return { ...parameters, sealedBytes: info.primitive(TAG.contextPrimitive(0)).length };
  });
}

const OID = {
  encryptedData: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06), // 1.2.840.113549.1.7.6
  data: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01), // 1.2.840.113549.1.7.1
  aes256Gcm: Uint8Array.of(0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e), // 2.16.840.1.101.3.4.1.46
} as const;
