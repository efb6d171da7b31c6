/**
 * Ed25519 and Ed25519ph (RFC 8032 §5.1). OpenSSL has the former in Node; the latter is of @noble/curves.
 *
 * KMS makes Ed25519ph of what it is given, a digest though that is: the 64 bytes of a DIGEST message are hashed once more, so
 * that elsewhere its signature verifies as Ed25519ph of the digest, not of the message (docs/interop-notes.md).
 */
import type { KeyObject } from "node:crypto";
import { sign, verify } from "node:crypto";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { wipe } from "../../../shared/bytes.js";

const [SEED_BYTES, SIGNATURE_BYTES] = [32, 64];

export const signEd25519 = (privateKey: KeyObject, message: Uint8Array): Uint8Array => sign(null, message, privateKey);

export const verifyEd25519 = (publicKey: KeyObject, message: Uint8Array, signature: Uint8Array): boolean =>
  verify(null, message, publicKey, signature);

export function signEd25519ph(privateKey: KeyObject, message: Uint8Array): Uint8Array {
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  try {
    return ed25519ph.sign(message, pkcs8.subarray(-SEED_BYTES)); // they end it (RFC 8410 §7)
  } finally {
    wipe(pkcs8);
  }
}

/** With the checks of RFC 8032, not the wider ones of ZIP 215. */
export const verifyEd25519ph = (publicKey: KeyObject, message: Uint8Array, signature: Uint8Array): boolean =>
  signature.length === SIGNATURE_BYTES &&
  ed25519ph.verify(signature, message, octets(publicKey.export({ format: "jwk" }).x), { zip215: false });

const octets = (base64url = ""): Uint8Array => Buffer.from(base64url, "base64url");
