/**
 * X.509 certificates (RFC 5280 §4) of the one profile that Nitro attestation documents use (AV-08).
 *
 * Taken: version 3, strict DER, at most 1024 bytes; ecdsa-with-SHA384 without parameters, the same inside and outside the
 * signed part (RFC 5758 §3.2); a P-384 public key as named curve and uncompressed point (RFC 5480 §2); names of
 * UTF8String, PrintableString and IA5String with one common name; the extensions basicConstraints and keyUsage.
 * Refused: every other version, algorithm, curve and point form; unique identifiers; a serial number that is not positive
 * or is over 160 bits; an extension that occurs twice; a critical extension other than those two. Other extensions
 * (key identifiers, CRL distribution points) are signed but have no effect: AWS says that CRLs must not be checked.
 *
 * A parsed certificate is well-formed and nothing more: who signed it and whether it may sign others is cert-path.ts's to say.
 */
import { concatBytes, copyBytes, equalBytes, isAllZero } from "./bytes.js";
import type { DerReader } from "./der.js";
import { contextConstructed, readDer, TAG } from "./der.js";
import { ServiceError } from "./errors.js";

/** RFC 5280 §4.2.1.9. */
export interface BasicConstraints {
  readonly critical: boolean;
  readonly ca: boolean;
  /** pathLenConstraint: how many intermediates may follow; undefined when absent. */
  readonly pathLength: number | undefined;
}

/** RFC 5280 §4.2.1.3: the purposes that path validation asks for. */
export interface KeyUsage {
  readonly critical: boolean;
  readonly digitalSignature: boolean;
  readonly keyCertSign: boolean;
}

/** A certificate of the profile. All byte strings are views of one private copy of its DER. */
export interface Certificate {
  readonly der: Uint8Array<ArrayBuffer>;
  /** TBSCertificate as it stood in the certificate: the bytes that the signature covers. */
  readonly tbsBytes: Uint8Array<ArrayBuffer>;
  /** ECDSA signature as r‖s of 48 octets each, the form of WebCrypto. */
  readonly rawSignature: Uint8Array<ArrayBuffer>;
  /** Serial number, big-endian without leading zeros. */
  readonly serial: Uint8Array<ArrayBuffer>;
  /** Issuer and subject as DER Names, for comparison octet by octet. */
  readonly issuer: Uint8Array<ArrayBuffer>;
  readonly subject: Uint8Array<ArrayBuffer>;
  readonly subjectCommonName: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array<ArrayBuffer>;
  /** The key as an uncompressed point, 04‖x‖y. Not yet known to be on the curve: importing it tells. */
  readonly publicKeyPoint: Uint8Array<ArrayBuffer>;
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: KeyUsage | undefined;
}

/** AWS attestation_process.md: certificates are 1..1024 bytes. */
export const MAX_CERTIFICATE_BYTES = 1024;

const OID_COMMON_NAME = "2.5.4.3";
const OID_BASIC_CONSTRAINTS = "2.5.29.19";
const OID_KEY_USAGE = "2.5.29.15";

const COORDINATE_BYTES = 48;
const POINT_BYTES = 1 + 2 * COORDINATE_BYTES;

const malformed = (message: string): ServiceError => new ServiceError("ERR_CERT_MALFORMED", message);

/** ecdsa-with-SHA384, parameters absent (RFC 5758 §3.2): AlgorithmIdentifier { 1.2.840.10045.4.3.3 }. */
const ECDSA_WITH_SHA384 = Uint8Array.from([0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03]);
/** AlgorithmIdentifier { id-ecPublicKey, secp384r1 } (RFC 5480 §2.1). */
const P384_PUBLIC_KEY = Uint8Array.from([
  0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
]);
/** The order of P-384's base point (SEC 2 §2.5.1). */
const P384_ORDER = Uint8Array.from([
  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
  0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf, 0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0,
  0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
]);

/**
 * Parses one certificate. On return it has the profile's form; nothing is known about who made it.
 * @throws ServiceError ERR_DER_MALFORMED when it is not strict DER of a Certificate, ERR_CERT_MALFORMED when it is one
 *   outside the profile.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  const owned = copyBytes(der);
  return readDer(owned, MAX_CERTIFICATE_BYTES, (reader) =>
    reader.sequence((certificate) => {
      const tbsBytes = certificate.peekEncoded();
      const { signatureAlgorithm, ...fields } = certificate.sequence(readTbsCertificate);
      assertSignatureAlgorithm(signatureAlgorithm, certificate.encoded(TAG.sequence));
      return { der: owned, tbsBytes, ...fields, rawSignature: certificate.bitStringHolding(readSignature) };
    }),
  );
}

type TbsFields = Omit<Certificate, "der" | "tbsBytes" | "rawSignature"> & { signatureAlgorithm: Uint8Array };

/** TBSCertificate, RFC 5280 §4.1.2. */
function readTbsCertificate(tbs: DerReader): TbsFields {
  assertVersion3(tbs);
  const serial = readSerial(tbs);
  const signatureAlgorithm = tbs.encoded(TAG.sequence);
  const issuer = tbs.peekEncoded();
  readCommonName(tbs);
  const [notBefore, notAfter] = tbs.sequence((validity) => [validity.time(), validity.time()] as const);
  const subject = tbs.peekEncoded();
  const subjectCommonName = readCommonName(tbs);
  const spki = tbs.peekEncoded();
  const publicKeyPoint = tbs.sequence(readPublicKeyPoint);
  // AV-08 RFC 5280 §4.1.2.8: the unique identifiers [1] and [2] must not be used; the profile needs extensions, [3]
  if (!tbs.nextIs(contextConstructed(3))) throw malformed("expected extensions right after the public key");
  const extensions = tbs.constructed(contextConstructed(3), readExtensions);
  const names = { issuer, subject, subjectCommonName };
  return { signatureAlgorithm, serial, ...names, notBefore, notAfter, spki, publicKeyPoint, ...extensions };
}

function assertVersion3(tbs: DerReader): void {
  const version = tbs.nextIs(contextConstructed(0))
    ? tbs.constructed(contextConstructed(0), (explicit) => explicit.smallInteger())
    : 0;
  // AV-08 RFC 5280 §4.1.2.1: extensions need version 3, which is written 2
  if (version !== 2) throw malformed("certificate is not of version 3");
}

function readSerial(tbs: DerReader): Uint8Array<ArrayBuffer> {
  const serial = tbs.unsignedInteger();
  // AV-08 RFC 5280 §4.1.2.2: positive and of at most 20 octets. AWS's instance certificates have 160-bit numbers, half of
  // which need a 21st octet for their sign, so that one is not counted.
  if (serial[0] === 0 || serial.length > 20) throw malformed("serial number is not in 1..2^160-1");
  return serial;
}

function assertSignatureAlgorithm(inside: Uint8Array, outside: Uint8Array): void {
  // AV-08 RFC 5280 §4.1.1.2: the same algorithm inside the signed part and outside
  if (!equalBytes(inside, outside)) throw malformed("signature algorithms inside and outside the signed part differ");
  // AV-08 RFC 5758 §3.2: ecdsa-with-SHA384, and no parameters, not even NULL
  if (!equalBytes(inside, ECDSA_WITH_SHA384)) throw malformed("signature algorithm is not ecdsa-with-SHA384");
}

/** Name (RFC 5280 §4.1.2.4) with one attribute per RDN. All of it is read, so that a malformed one is refused. */
function readCommonName(tbs: DerReader): string {
  const commonNames: string[] = [];
  tbs.sequence((rdns) => {
    while (!rdns.atEnd) {
      const [type, value] = rdns.constructed(TAG.set, (rdn) => rdn.sequence(readAttribute));
      if (type === OID_COMMON_NAME) commonNames.push(value);
    }
  });
  const [commonName] = commonNames;
  if (commonName === undefined || commonNames.length > 1) throw malformed("name does not have exactly one common name");
  return commonName;
}

function readAttribute(attribute: DerReader): readonly [type: string, value: string] {
  return [attribute.objectIdentifier(), attribute.text()];
}

/** SubjectPublicKeyInfo, RFC 5480 §2. */
function readPublicKeyPoint(spki: DerReader): Uint8Array<ArrayBuffer> {
  // AV-08 RFC 5480 §2.1.1: a named curve, and that is P-384
  if (!equalBytes(spki.encoded(TAG.sequence), P384_PUBLIC_KEY)) {
    throw malformed("public key is not an EC key on the named curve P-384");
  }
  const point = spki.bitStringOctets();
  // AV-08 RFC 5480 §2.2: the uncompressed form, 04‖x‖y
  if (point.length !== POINT_BYTES || point[0] !== 0x04) throw malformed("public key is not an uncompressed point");
  return point;
}

/** ECDSA-Sig-Value (RFC 5480 appendix A): SEQUENCE { r INTEGER, s INTEGER } → r‖s. */
function readSignature(reader: DerReader): Uint8Array<ArrayBuffer> {
  return reader.sequence((signature) =>
    concatBytes(readSignatureScalar(signature.unsignedInteger()), readSignatureScalar(signature.unsignedInteger())),
  );
}

function readSignatureScalar(magnitude: Uint8Array): Uint8Array<ArrayBuffer> {
  const scalar = new Uint8Array(COORDINATE_BYTES);
  if (magnitude.length <= COORDINATE_BYTES) scalar.set(magnitude, COORDINATE_BYTES - magnitude.length);
  // AV-08 SEC 1 §4.1.4: r and s are in [1, n-1]; a longer magnitude left zero behind
  if (isAllZero(scalar) || !isLess(scalar, P384_ORDER)) throw malformed("signature scalar is not in 1..n-1");
  return scalar;
}

/** a < b for big-endian numbers of one length. */
function isLess(a: Uint8Array, b: Uint8Array): boolean {
  const first = a.findIndex((octet, i) => octet !== b[i]);
  return first >= 0 && (a[first] ?? 0) < (b[first] ?? 0);
}

interface Extensions {
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: KeyUsage | undefined;
}

/** Extensions, RFC 5280 §4.2. */
function readExtensions(explicit: DerReader): Extensions {
  const seen = new Set<string>();
  let basicConstraints: BasicConstraints | undefined;
  let keyUsage: KeyUsage | undefined;
  explicit.sequence((extensions) => {
    while (!extensions.atEnd) {
      extensions.sequence((extension) => {
        const type = extension.objectIdentifier();
        // AV-08 RFC 5280 §4.2: one instance of an extension at most
        if (seen.has(type)) throw malformed(`extension ${type} occurs twice`);
        seen.add(type);
        const critical = extension.booleanDefaultFalse();
        if (type === OID_BASIC_CONSTRAINTS) basicConstraints = readBasicConstraints(extension, critical);
        else if (type === OID_KEY_USAGE) keyUsage = readKeyUsage(extension, critical);
        else ignoreExtension(extension, type, critical);
      });
    }
  });
  if (seen.size === 0) throw malformed("list of extensions is empty");
  return { basicConstraints, keyUsage };
}

function ignoreExtension(extension: DerReader, type: string, critical: boolean): void {
  // AV-09 RFC 5280 §6.1.4(o), §6.1.5(f): a critical extension that is not processed refuses the certificate
  if (critical) throw malformed(`critical extension ${type} is not known`);
  extension.octetString();
}

function readBasicConstraints(extension: DerReader, critical: boolean): BasicConstraints {
  return extension.octetStringHolding((value) =>
    value.sequence((constraints) => {
      const ca = constraints.booleanDefaultFalse();
      const pathLength = constraints.atEnd ? undefined : constraints.smallInteger();
      return { critical, ca, pathLength };
    }),
  );
}

function readKeyUsage(extension: DerReader, critical: boolean): KeyUsage {
  const isSet = extension.octetStringHolding((value) => value.namedBits());
  return { critical, digitalSignature: isSet(0), keyCertSign: isSet(5) };
}
