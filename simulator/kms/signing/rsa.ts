/**
 * RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017 §8) over a digest. Node's sign() hashes what it is given, so the encodings of §9
 * are made here, and OpenSSL raises them to the key's exponent.
 */
import type { KeyObject } from "node:crypto";
import { constants, privateEncrypt, publicDecrypt } from "node:crypto";
import { concatBytes, equalBytes } from "../../../shared/bytes.js";
import { encodeDer, nothing, OID, objectId, octetString, sequence } from "../asn1.js";
import { encodePss, isPssOf } from "./emsa-pss.js";
import type { Digest } from "./message.js";

const padding = constants.RSA_NO_PADDING;

export const signPkcs1 = (privateKey: KeyObject, digest: Digest): Uint8Array =>
  sp1(privateKey, encodePkcs1(digest, modulusBits(privateKey) / 8));

export function verifyPkcs1(publicKey: KeyObject, digest: Digest, signature: Uint8Array): boolean {
  const encoded = vp1(publicKey, signature);
  return encoded !== undefined && equalBytes(encoded, encodePkcs1(digest, encoded.length));
}

/** The encoding has one bit less than the modulus. */
export const signPss = (privateKey: KeyObject, digest: Digest): Uint8Array =>
  sp1(privateKey, encodePss(digest, modulusBits(privateKey) - 1));

export function verifyPss(publicKey: KeyObject, digest: Digest, signature: Uint8Array): boolean {
  const encoded = vp1(publicKey, signature);
  return encoded !== undefined && isPssOf(digest, encoded, modulusBits(publicKey) - 1);
}

/** EMSA-PKCS1-v1_5 (§9.2): 00 01 FF … FF 00 DigestInfo. */
function encodePkcs1({ hash, bytes }: Digest, length: number): Uint8Array {
  const digestInfo = encodeDer(sequence(sequence(objectId(OID[hash]), nothing()), octetString(bytes)));
  const ones = new Uint8Array(length - digestInfo.length - 3).fill(0xff);
  return concatBytes(Uint8Array.of(0, 1), ones, Uint8Array.of(0), digestInfo);
}

/** RSASP1 (§5.2.1). */
const sp1 = (key: KeyObject, encoded: Uint8Array): Uint8Array => privateEncrypt({ key, padding }, encoded);

/** RSAVP1 (§5.2.2). Undefined for a signature that is not as long as the modulus, or not below it. */
function vp1(key: KeyObject, signature: Uint8Array): Uint8Array | undefined {
  if (signature.length !== modulusBits(key) / 8) return undefined;
  try {
    return publicDecrypt({ key, padding }, signature);
  } catch {
    return undefined; // not below the modulus: no signature of this key
  }
}

const modulusBits = (key: KeyObject): number => key.asymmetricKeyDetails?.modulusLength ?? 0;
