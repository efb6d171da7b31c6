/**
 * Reads one certificate of the Web's kind (RFC 5280 §4), for what path validation and TLS need from it. node:crypto reads
 * it too, and checks signatures; dates, names and extensions are read here, from the DER, because node:crypto gives them
 * as text for people.
 *
 * Taken: one PEM block with nothing around it, strict DER of at most 8 KiB, version 3; RSA from 2048 to 8192 bits or EC on
 * P-256 or P-384; signatures by RSASSA-PKCS1-v1_5 or ECDSA with SHA-256, SHA-384 or SHA-512. Refused: everything else; an
 * extension that occurs twice; name constraints, and any other critical extension that is not evaluated here.
 *
 * What is read is well-formed and nothing more: who issued it, and for when, is certificate-path.ts's to say.
 *
 * Every refusal is ERR_CERTIFICATE.
 */
import type { KeyObject } from "node:crypto";
import { X509Certificate } from "node:crypto";
import { copyBytes, equalBytes, toHex } from "../../shared/bytes.js";
import type { DerReader } from "../../shared/der.js";
import { contextConstructed, readDer, TAG } from "../../shared/der.js";
import { ServiceError } from "../../shared/errors.js";
import { decodePem } from "../../shared/pem.js";

export interface TlsCertificate {
  readonly der: Uint8Array<ArrayBuffer>;
  /** The same certificate, for its signature and key. */
  readonly x509: X509Certificate;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, as it stands in the certificate. */
  readonly spki: Uint8Array<ArrayBuffer>;
  readonly ca: boolean;
  /** pathLenConstraint; undefined when absent. */
  readonly pathLength: number | undefined;
  /** Whether the key may make the signatures of a TLS 1.3 handshake, as far as keyUsage and extKeyUsage are there. */
  readonly mayServe: boolean;
  /** Whether the key may sign certificates of TLS servers, likewise. */
  readonly mayIssue: boolean;
  /** subjectAltName as a set: DNS names in lower case, other names by their octets; sorted. */
  readonly names: readonly string[];
}

const MAX_DER_BYTES = 8 * 1024;
/** Base64 of that, with line feeds and labels. */
const MAX_PEM_LENGTH = 12 * 1024;
const MAX_NAMES = 100;
const RSA_BITS = { min: 2_048, max: 8_192 };
const CURVES: readonly (string | undefined)[] = ["prime256v1", "secp384r1"];

const OID = {
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  extKeyUsage: "2.5.29.37",
  anyExtendedKeyUsage: "2.5.29.37.0",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** RFC 4055 §5 and RFC 5758 §3.2. MD5 and SHA-1 are what this list is for. */
const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
]);

/** RFC 5280 §4.2.1.3. */
const DIGITAL_SIGNATURE = 0;
const KEY_CERT_SIGN = 5;

export const certificateRefused = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("ERR_CERTIFICATE", message, cause === undefined ? {} : { cause });

/** Reads one PEM certificate of the profile above. @throws ServiceError ERR_CERTIFICATE. */
export function parseTlsCertificate(pem: string): TlsCertificate {
  const der = pem.length <= MAX_PEM_LENGTH ? decodePem(pem, "CERTIFICATE") : undefined;
  if (der === undefined)
    throw certificateRefused(`expected one PEM certificate of at most ${MAX_PEM_LENGTH} characters`);
  const owned = copyBytes(der);
  const fields = readFields(owned);
  const x509 = readByNode(owned);
  assertKey(x509.publicKey, fields.spki);
  return { der: owned, x509, ...fields };
}

function readByNode(der: Uint8Array): X509Certificate {
  try {
    const x509 = new X509Certificate(der);
    x509.publicKey.asymmetricKeyType; // reads the key, which may not be one
    return x509;
  } catch (cause) {
    throw certificateRefused("expected a certificate that OpenSSL reads", cause);
  }
}

function assertKey(key: KeyObject, spki: Uint8Array): void {
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  const isRsa = key.asymmetricKeyType === "rsa" && modulusLength >= RSA_BITS.min && modulusLength <= RSA_BITS.max;
  const isEc = key.asymmetricKeyType === "ec" && CURVES.includes(namedCurve);
  if (!isRsa && !isEc) {
    throw certificateRefused(`expected RSA of ${RSA_BITS.min} to ${RSA_BITS.max} bits, or EC on P-256 or P-384`);
  }
  // Clients hash the key as their TLS library writes it: that and what stands in the certificate must not differ.
  if (!equalBytes(new Uint8Array(key.export({ type: "spki", format: "der" })), spki)) {
    throw certificateRefused("expected the public key in its usual encoding");
  }
}

type Fields = Omit<TlsCertificate, "der" | "x509">;

function readFields(der: Uint8Array<ArrayBuffer>): Fields {
  try {
    return readDer(der, MAX_DER_BYTES, (reader) =>
      reader.sequence((certificate) => {
        const fields = certificate.sequence(readTbsCertificate);
        certificate.sequence(readAlgorithm); // node:crypto compares it with the one inside
        certificate.bitStringOctets();
        return fields;
      }),
    );
  } catch (cause) {
    if (cause instanceof ServiceError && cause.code === "ERR_CERTIFICATE") throw cause;
    throw certificateRefused("expected a certificate in strict DER", cause);
  }
}

/** TBSCertificate, RFC 5280 §4.1.2. */
function readTbsCertificate(tbs: DerReader): Fields {
  const hasVersion = tbs.nextIs(contextConstructed(0));
  const version = hasVersion ? tbs.constructed(contextConstructed(0), (explicit) => explicit.smallInteger()) : 0;
  if (version !== 2) throw certificateRefused("expected a certificate of version 3");
  tbs.unsignedInteger();
  const algorithm = tbs.sequence(readAlgorithm);
  if (!SIGNATURE_ALGORITHMS.has(algorithm)) throw certificateRefused("expected a signature with SHA-256 or longer");
  tbs.encoded(TAG.sequence);
  const [notBefore, notAfter] = tbs.sequence((validity) => [validity.time(), validity.time()] as const);
  tbs.encoded(TAG.sequence);
  const spki = tbs.encoded(TAG.sequence);
  if (!tbs.nextIs(contextConstructed(3))) throw certificateRefused("expected extensions right after the public key");
  return { notBefore, notAfter, spki, ...tbs.constructed(contextConstructed(3), readExtensions) };
}

/** AlgorithmIdentifier; its parameters are for node:crypto to read. */
function readAlgorithm(algorithm: DerReader): string {
  const oid = algorithm.objectIdentifier();
  if (!algorithm.atEnd) algorithm.null();
  return oid;
}

interface Extensions {
  basicConstraints?: { readonly ca: boolean; readonly pathLength: number | undefined };
  keyUsage?: (bit: number) => boolean;
  extKeyUsage?: readonly string[];
  names?: readonly string[];
}

function readExtensions(explicit: DerReader): Pick<Fields, "ca" | "pathLength" | "mayServe" | "mayIssue" | "names"> {
  const seen = new Set<string>();
  const found: Extensions = {};
  explicit.sequence((extensions) => {
    while (!extensions.atEnd) extensions.sequence((extension) => readExtension(extension, seen, found));
  });
  const { basicConstraints, keyUsage, extKeyUsage, names = [] } = found;
  const isForServers = extKeyUsage?.some((oid) => oid === OID.serverAuth || oid === OID.anyExtendedKeyUsage) ?? true;
  return {
    ca: basicConstraints?.ca ?? false,
    pathLength: basicConstraints?.pathLength,
    mayServe: isForServers && (keyUsage?.(DIGITAL_SIGNATURE) ?? true),
    mayIssue: isForServers && (keyUsage?.(KEY_CERT_SIGN) ?? true),
    names,
  };
}

function readExtension(extension: DerReader, seen: Set<string>, found: Extensions): void {
  const oid = extension.objectIdentifier();
  const critical = extension.booleanDefaultFalse();
  // RFC 5280 §4.2
  if (seen.has(oid)) throw certificateRefused("expected each extension once");
  seen.add(oid);
  if (oid === OID.basicConstraints) found.basicConstraints = extension.octetStringHolding(readBasicConstraints);
  else if (oid === OID.keyUsage) found.keyUsage = extension.octetStringHolding((value) => value.namedBits());
  else if (oid === OID.extKeyUsage) found.extKeyUsage = extension.octetStringHolding(readExtKeyUsage);
  else if (oid === OID.subjectAltName) found.names = extension.octetStringHolding(readNames);
  else if (critical || oid === OID.nameConstraints) {
    throw certificateRefused("expected no name constraints, and no critical extension that is unknown here");
  } else extension.octetString();
}

/** RFC 5280 §4.2.1.9. */
function readBasicConstraints(value: DerReader): NonNullable<Extensions["basicConstraints"]> {
  return value.sequence((constraints) => ({
    ca: constraints.booleanDefaultFalse(),
    pathLength: constraints.atEnd ? undefined : constraints.smallInteger(),
  }));
}

/** RFC 5280 §4.2.1.12. */
function readExtKeyUsage(value: DerReader): readonly string[] {
  const purposes: string[] = [];
  value.sequence((oids) => {
    while (!oids.atEnd) purposes.push(oids.objectIdentifier());
  });
  return purposes;
}

/** GeneralNames, RFC 5280 §4.2.1.6. */
function readNames(value: DerReader): readonly string[] {
  const names = new Set<string>();
  value.sequence((generalNames) => {
    while (!generalNames.atEnd) {
      names.add(readName(generalNames));
      if (names.size > MAX_NAMES) throw certificateRefused(`expected at most ${MAX_NAMES} names`);
    }
  });
  return [...names].sort();
}

/** `dNSName [2] IA5String`, `iPAddress [7] OCTET STRING`, and whatever else there is. */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

function readName(generalNames: DerReader): string {
  const [tag = 0] = generalNames.peekEncoded();
  const content = generalNames.content(tag);
  if (tag === IP_ADDRESS) return `ip:${toHex(content)}`;
  if (tag !== DNS_NAME) return `other:${tag}:${toHex(content)}`;
  const name = new TextDecoder("latin1").decode(content);
  if (!/^[!-~]+$/.test(name)) throw certificateRefused("expected DNS names of visible ASCII");
  return `dns:${name.toLowerCase()}`;
}

/** Whether one of `names` is a DNS name or an IP address: what clients of TLS look for. */
export const hasServerName = (names: readonly string[]): boolean =>
  names.some((name) => name.startsWith("dns:") || name.startsWith("ip:"));
