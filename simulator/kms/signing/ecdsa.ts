/**
 * ECDSA (FIPS 186-5 §6) over a digest, signatures in the DER of ANSI X9.62 (RFC 3279 §2.2.3). Node's sign() hashes what it is
 * given, so @noble/curves does the arithmetic. As KMS does, it signs with fresh randomness and leaves s where it falls.
 */
import type { KeyObject } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concatBytes } from "../../../shared/bytes.js";
import type { Digest } from "./message.js";

const CURVES = new Map([
  ["P-256", p256],
  ["P-384", p384],
  ["P-521", p521],
  ["secp256k1", secp256k1],
]);
const options = { prehash: false, lowS: false, format: "der" } as const;

export function signEcdsa(privateKey: KeyObject, { bytes }: Digest): Uint8Array {
  const { crv, d } = privateKey.export({ format: "jwk" });
  return curveOf(crv).sign(bytes, octets(d), { ...options, extraEntropy: true });
}

export function verifyEcdsa(publicKey: KeyObject, { bytes }: Digest, signature: Uint8Array): boolean {
  const { crv, x, y } = publicKey.export({ format: "jwk" });
  const point = concatBytes(Uint8Array.of(4), octets(x), octets(y)); // uncompressed (SEC 1 §2.3.3)
  return curveOf(crv).verify(signature, bytes, point, options);
}

function curveOf(name = "") {
  const curve = CURVES.get(name);
  if (curve === undefined) throw new TypeError("ECDSA takes a key on one of KMS's curves");
  return curve;
}

const octets = (base64url = ""): Uint8Array => Buffer.from(base64url, "base64url");
