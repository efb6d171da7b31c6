/**
 * Elliptic-curve keys in DER, read and checked here before Node is given them: to ask Node for the details of one whose point
 * is at infinity ends the process (an assertion of Node 20). The arithmetic is that of @noble/curves.
 */
import type { KeyObject } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { copyBytes, equalBytes, wipe } from "../../shared/bytes.js";
import type { DerReader } from "../../shared/der.js";
import { contextConstructed, readDer, TAG } from "../../shared/der.js";

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";

/** RFC 5480 §2.1.1.1 and SEC 2 §A.2, under OpenSSL's names. */
const CURVES = {
  prime256v1: { oid: "1.2.840.10045.3.1.7", arithmetic: p256 },
  secp384r1: { oid: "1.3.132.0.34", arithmetic: p384 },
  secp521r1: { oid: "1.3.132.0.35", arithmetic: p521 },
  secp256k1: { oid: "1.3.132.0.10", arithmetic: secp256k1 },
} as const;
export type CurveName = keyof typeof CURVES;

/** The curve of a key that this KMS has made or checked. */
export function curveOf({ asymmetricKeyDetails: details }: KeyObject): CurveName {
  const name = details?.namedCurve ?? "";
  if (!isCurveName(name)) throw new TypeError("this is no key on one of KMS's curves");
  return name;
}

export const arithmeticOf = (key: KeyObject) => CURVES[curveOf(key)].arithmetic;

const isCurveName = (name: string): name is CurveName => Object.hasOwn(CURVES, name);

/** More than any of these keys takes. */
const MAX_BYTES = 8192;

/** The scalar of a private key, for whoever asks to wipe. */
export function privateScalar(privateKey: KeyObject): Uint8Array {
  const der = copyBytes(privateKey.export({ type: "sec1", format: "der" }));
  try {
    return copyBytes(readDer(der, MAX_BYTES, readPrivateKey).scalar);
  } finally {
    wipe(der);
  }
}

/** The point of a public key, uncompressed (SEC 1 §2.3.3). */
export const publicPoint = (publicKey: KeyObject): Uint8Array =>
  readDer(copyBytes(publicKey.export({ type: "spki", format: "der" })), MAX_BYTES, readSpki).point;

/**
 * Whether these bytes are a key pair on the curve: PKCS #8 (RFC 5208 §5) with a scalar 1 ≤ d < n, and no other public key than
 * the point of d (SP 800-56A §5.6.2.1). @throws ServiceError if they are no PKCS #8 of an elliptic-curve key
 */
export function isPrivateKeyOn(curve: CurveName, pkcs8: Uint8Array<ArrayBuffer>): boolean {
  const { oid, scalar, point } = readDer(pkcs8, MAX_BYTES, readPkcs8);
  const { utils, getPublicKey } = CURVES[curve].arithmetic;
  if (oid !== CURVES[curve].oid || !utils.isValidSecretKey(scalar)) return false;
  return point === undefined || equalBytes(point, getPublicKey(scalar, point[0] !== UNCOMPRESSED));
}

/**
 * Whether these bytes are a public key on the curve: SubjectPublicKeyInfo (RFC 5480 §2) with a point that is on it and not at
 * infinity. @throws ServiceError if they are no SubjectPublicKeyInfo of an elliptic-curve key
 */
export function isPublicKeyOn(curve: CurveName, spki: Uint8Array<ArrayBuffer>): boolean {
  const { oid, point } = readDer(spki, MAX_BYTES, readSpki);
  return oid === CURVES[curve].oid && CURVES[curve].arithmetic.utils.isValidPublicKey(point);
}

const UNCOMPRESSED = 4;

const readSpki = (reader: DerReader) =>
  reader.sequence((spki) => ({ oid: readCurve(spki), point: spki.bitStringOctets() }));

/** Attributes may follow, which nobody reads. */
const readPkcs8 = (reader: DerReader) =>
  reader.sequence((info) => {
    info.encoded(TAG.integer);
    const key = { oid: readCurve(info), ...info.octetStringHolding(readPrivateKey) };
    if (!info.atEnd) info.encoded(contextConstructed(0));
    return key;
  });

/** ECPrivateKey (RFC 5915 §3). */
const readPrivateKey = (reader: DerReader) =>
  reader.sequence((key) => {
    key.encoded(TAG.integer);
    const scalar = key.octetString();
    if (key.nextIs(contextConstructed(0))) key.encoded(contextConstructed(0));
    const point = key.atEnd ? undefined : key.constructed(contextConstructed(1), (inner) => inner.bitStringOctets());
    return { scalar, point };
  });

/** The named curve of an AlgorithmIdentifier; "" for that of another algorithm. */
const readCurve = (reader: DerReader): string =>
  reader.sequence((algorithm) => {
    const isEc = algorithm.objectIdentifier() === EC_PUBLIC_KEY;
    const parameters = algorithm.objectIdentifier();
    return isEc ? parameters : "";
  });
