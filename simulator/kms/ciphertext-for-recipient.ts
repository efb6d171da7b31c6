/**
 * Writes CiphertextForRecipient exactly as KMS does, a CMS EnvelopedData (RFC 5652 §6) in BER: indefinite lengths on the
 * outside, one KeyTransRecipientInfo v2 in DER that names its key by SHA-256 of the SubjectPublicKeyInfo, RSAES-OAEP with
 * SHA-256 and MGF1-SHA-256, AES-256-CBC, and the content in OCTET STRINGs of at most 1000 bytes.
 *
 * The reader in shared/cms.ts shares no code with this file: the two check one another.
 */
import type { KeyObject } from "node:crypto";
import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from "node:crypto";
import { concatBytes, wipe } from "../../shared/bytes.js";
import type { Asn1 } from "./asn1.js";
import {
  contextExplicit,
  contextOctets,
  encodeDer,
  integer,
  nothing,
  OID,
  objectId,
  octetString,
  sequence,
  setOf,
} from "./asn1.js";

/** The attested key that an answer is sealed to. */
export interface RecipientKey {
  readonly publicKey: KeyObject;
  /** Its DER SubjectPublicKeyInfo, as the attestation document carries it. */
  readonly spki: Uint8Array;
}

const CHUNK_BYTES = 1000;
const SEQUENCE_INDEFINITE = Uint8Array.of(0x30, 0x80);
const CONTEXT_0_INDEFINITE = Uint8Array.of(0xa0, 0x80);
const END_OF_CONTENTS = Uint8Array.of(0, 0);

/** Seals `plaintext` so that only the holder of the attested private key opens it. */
export function sealForRecipient(plaintext: Uint8Array, recipient: RecipientKey): Uint8Array {
  const contentEncryptionKey = randomBytes(32);
  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-256-cbc", contentEncryptionKey, iv);
  const ciphertext = concatBytes(cipher.update(plaintext), cipher.final());
  const encryptedKey = publicEncrypt(
    { key: recipient.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" },
    contentEncryptionKey,
  );
  wipe(contentEncryptionKey);
  const envelopedData = indefinite(
    SEQUENCE_INDEFINITE,
    encodeDer(integer(2)),
    encodeDer(setOf(recipientInfo(recipient.spki, encryptedKey))),
    encryptedContentInfo(iv, ciphertext),
  );
  return indefinite(
    SEQUENCE_INDEFINITE,
    encodeDer(objectId(OID.envelopedData)),
    indefinite(CONTEXT_0_INDEFINITE, envelopedData),
  );
}

const indefinite = (start: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array =>
  concatBytes(start, ...parts, END_OF_CONTENTS);

function recipientInfo(spki: Uint8Array, encryptedKey: Uint8Array): Asn1 {
  const keyIdentifier = createHash("sha256").update(spki).digest();
  const hash = () => sequence(objectId(OID.sha256), nothing());
  const maskGeneration = sequence(objectId(OID.mgf1), hash());
  const parameters = sequence(contextExplicit(0, hash()), contextExplicit(1, maskGeneration));
  const algorithm = sequence(objectId(OID.rsaesOaep), parameters);
  return sequence(integer(2), contextOctets(0, keyIdentifier), algorithm, octetString(encryptedKey));
}

function encryptedContentInfo(iv: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let offset = 0; offset < ciphertext.length; offset += CHUNK_BYTES) {
    chunks.push(encodeDer(octetString(ciphertext.subarray(offset, offset + CHUNK_BYTES))));
  }
  return indefinite(
    SEQUENCE_INDEFINITE,
    encodeDer(objectId(OID.data)),
    encodeDer(sequence(objectId(OID.aes256Cbc), octetString(iv))),
    indefinite(CONTEXT_0_INDEFINITE, ...chunks),
  );
}
