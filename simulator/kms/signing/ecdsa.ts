/**
 * ECDSA (FIPS 186-5 §6) over a digest, signatures in the DER of ANSI X9.62 (RFC 3279 §2.2.3). Node's sign() hashes what it is
 * given, so @noble/curves does the arithmetic. As KMS does, it signs with fresh randomness and leaves s where it falls.
 */
import type { KeyObject } from "node:crypto";
import { wipe } from "../../../shared/bytes.js";
import { arithmeticOf, privateScalar, publicPoint } from "../ec-keys.js";
import type { Digest } from "./message.js";

const options = { prehash: false, lowS: false, format: "der" } as const;

export function signEcdsa(privateKey: KeyObject, { bytes }: Digest): Uint8Array {
  const scalar = privateScalar(privateKey);
  try {
    return arithmeticOf(privateKey).sign(bytes, scalar, { ...options, extraEntropy: true });
  } finally {
    wipe(scalar);
  }
}

export const verifyEcdsa = (publicKey: KeyObject, { bytes }: Digest, signature: Uint8Array): boolean =>
  arithmeticOf(publicKey).verify(signature, bytes, publicPoint(publicKey), options);
