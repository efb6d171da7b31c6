/**
 * The X.509 certificate in the signature section of an enclave image (RFC 5280 §4.1), as far as the image's signature
 * needs it: its key, its validity and its subject. (x509.ts reads the certificates of attestation documents, which are of
 * one narrow profile; a signer's may be of any version, with any extensions, from any authority or from none.)
 *
 * Taken: strict DER; an EC key on P-256, P-384 or P-521 as named curve and uncompressed point (RFC 5480 §2), the three that
 * AWS's tools sign with. Refused: every other key. Not looked at: who issued the certificate and whether the issuer's
 * signature holds, extensions, revocation. Nothing in an image says whom to trust; PCR8 is how a relying party does.
 */
import { digest, toHex } from "../bytes.js";
import type { DerReader } from "../der.js";
import { contextConstructed, readDer, TAG } from "../der.js";
import { ServiceError } from "../errors.js";

export interface SigningCertificate {
  /** In the form of RFC 4514, in the certificate's order; what is no UTF-8 text is `#` and the hexadecimal of its DER. */
  readonly subject: string;
  /** Of the DER, lower-case hexadecimal. PCR8 is over the same bytes. */
  readonly sha256: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly namedCurve: NamedCurve;
  /** The key as an uncompressed point, 04‖x‖y. Not yet known to be on the curve: importing it tells. */
  readonly publicKeyPoint: Uint8Array<ArrayBuffer>;
}

export type NamedCurve = "P-256" | "P-384" | "P-521";

/** Certificates of public authorities have 1 to 3 KiB. */
export const MAX_SIGNING_CERTIFICATE_BYTES = 16 * 1024;

const OID_EC_PUBLIC_KEY = "1.2.840.10045.2.1";
/** RFC 5480 §2.1.1.1. */
const CURVES: Readonly<Record<string, { readonly namedCurve: NamedCurve; readonly coordinateBytes: number }>> = {
  "1.2.840.10045.3.1.7": { namedCurve: "P-256", coordinateBytes: 32 },
  "1.3.132.0.34": { namedCurve: "P-384", coordinateBytes: 48 },
  "1.3.132.0.35": { namedCurve: "P-521", coordinateBytes: 66 },
};

/** What may follow the key: issuerUniqueID [1], subjectUniqueID [2], extensions [3], each at most once and in this order. */
const TRAILING_TAGS = [0x81, 0x82, contextConstructed(3)];

const malformed = (message: string): ServiceError => new ServiceError("ERR_EIF_MALFORMED", message);

/**
 * Reads a signing certificate. On return its key may be imported; nothing is known about who made the certificate.
 * @throws ServiceError ERR_DER_MALFORMED when it is not strict DER of a Certificate, ERR_EIF_MALFORMED when its key is of
 *   another kind.
 */
export async function readSigningCertificate(der: Uint8Array<ArrayBuffer>): Promise<SigningCertificate> {
  const fields = readDer(der, MAX_SIGNING_CERTIFICATE_BYTES, (reader) =>
    reader.sequence((certificate) => {
      const tbs = certificate.sequence(readTbsCertificate);
      certificate.encoded(TAG.sequence); // signatureAlgorithm
      certificate.bitString(); // signatureValue
      return tbs;
    }),
  );
  return { ...fields, sha256: toHex(await digest("SHA-256", der)) };
}

/** TBSCertificate, RFC 5280 §4.1.2. */
function readTbsCertificate(tbs: DerReader): Omit<SigningCertificate, "sha256"> {
  if (tbs.nextIs(contextConstructed(0))) tbs.constructed(contextConstructed(0), (version) => version.smallInteger());
  tbs.encoded(TAG.integer); // serialNumber
  tbs.encoded(TAG.sequence); // signature
  tbs.encoded(TAG.sequence); // issuer
  const [notBefore, notAfter] = tbs.sequence((validity) => [validity.time(), validity.time()] as const);
  const subject = readName(tbs);
  const key = tbs.sequence(readPublicKey);
  for (const tag of TRAILING_TAGS) if (tbs.nextIs(tag)) tbs.encoded(tag);
  return { subject, notBefore, notAfter, ...key };
}

/** SubjectPublicKeyInfo, RFC 5480 §2. */
function readPublicKey(spki: DerReader): Pick<SigningCertificate, "namedCurve" | "publicKeyPoint"> {
  const curve = spki.sequence((algorithm) => {
    if (algorithm.objectIdentifier() !== OID_EC_PUBLIC_KEY) throw malformed("the signing key is not an EC key");
    return CURVES[algorithm.objectIdentifier()];
  });
  if (curve === undefined) throw malformed("the signing key is not on P-256, P-384 or P-521");
  const publicKeyPoint = spki.bitStringOctets();
  if (publicKeyPoint.length !== 1 + 2 * curve.coordinateBytes || publicKeyPoint[0] !== 0x04) {
    throw malformed("the signing key is not an uncompressed point");
  }
  return { namedCurve: curve.namedCurve, publicKeyPoint };
}

/** RFC 4514 §3; other attribute types are shown by their object identifier. */
const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  "2.5.4.3": "CN",
  "2.5.4.6": "C",
  "2.5.4.7": "L",
  "2.5.4.8": "ST",
  "2.5.4.10": "O",
  "2.5.4.11": "OU",
};

/** Name, RFC 5280 §4.1.2.4. */
function readName(tbs: DerReader): string {
  const attributes: string[] = [];
  tbs.sequence((rdns) => {
    while (!rdns.atEnd) {
      rdns.constructed(TAG.set, (rdn) => {
        do attributes.push(rdn.sequence(readAttribute));
        while (!rdn.atEnd);
      });
    }
  });
  return attributes.join(",");
}

function readAttribute(attribute: DerReader): string {
  const type = attribute.objectIdentifier();
  return `${ATTRIBUTE_NAMES[type] ?? type}=${readValue(attribute)}`;
}

/** Shown, never compared: so a text outside the alphabet of its type is no reason to refuse an image. */
function readValue(attribute: DerReader): string {
  const encoded = attribute.peekEncoded();
  const tag = [TAG.utf8String, TAG.printableString, TAG.ia5String].find((text) => attribute.nextIs(text));
  if (tag === undefined) {
    attribute.encoded(encoded[0] ?? 0);
    return `#${toHex(encoded)}`;
  }
  const content = attribute.content(tag);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
    return text.replace(/[,+"\\<>;=#]/g, "\\$&"); // RFC 4514 §2.4: a value cannot pose as two
  } catch {
    return `#${toHex(encoded)}`; // not UTF-8
  }
}
