/**
 * Makes one certificate (RFC 5280 §4.1) from a plain description, and lets a test change exactly one thing about it.
 *
 * Everything but the last three overrides is said through @peculiar/x509. Those three work on the encoded bytes and reach
 * what a well-behaved library refuses to write: other versions, algorithms that differ inside and outside, unsorted or
 * truncated DER. Edits before signing are followed by a new signature, so a wrong certificate fails for what is wrong
 * with it and not for its signature.
 */
import { KeyObject, sign } from "node:crypto";
import { copyBytes, toHex } from "../../shared/bytes.js";
import { encodeBitString, encodeSequence } from "../../shared/der-encode.js";
import { splitConstructed } from "./der.js";
import { BasicConstraintsExtension, Extension, KeyUsagesExtension, Name, X509CertificateGenerator } from "./x509.js";

/** A distinguished name: attribute type and value, in order, one per RDN. C is a PrintableString, all others UTF8Strings. */
export type DistinguishedName = readonly (readonly [type: "C" | "ST" | "L" | "O" | "OU" | "CN", value: string])[];

/** An extension with its DER value (the content of `extnValue`). */
export interface ExtensionSpec {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

/** Everything that a certificate says, but for its key and signature. */
export interface CertificateSpec {
  readonly serial: Uint8Array;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly ExtensionSpec[];
}

export type Curve = "P-256" | "P-384" | "P-521";
export type Hash = "SHA-256" | "SHA-384" | "SHA-512";

/** What may differ from the real profile. Each field changes one thing; what is left out stays as on a real certificate. */
export interface CertificateOverrides {
  readonly serial?: Uint8Array;
  readonly subject?: DistinguishedName;
  readonly issuer?: DistinguishedName;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly basicConstraints?:
    | "absent"
    | { readonly ca?: boolean; readonly pathLength?: number | "absent"; readonly critical?: boolean };
  /** `flags` are KeyUsageFlags of @peculiar/x509: bit n of RFC 5280's KeyUsage is `1 << n`. */
  readonly keyUsage?: "absent" | { readonly flags?: number; readonly critical?: boolean };
  /** Put after the others: an unknown critical one, a second copy of one that is there. */
  readonly extraExtensions?: readonly ExtensionSpec[];
  readonly editExtensions?: (extensions: readonly ExtensionSpec[]) => readonly ExtensionSpec[];
  /** The curve of this certificate's own key. */
  readonly curve?: Curve;
  /** The hash of the signature on this certificate. */
  readonly hash?: Hash;
  /** Who signs in the issuer's place: a fresh P-384 key, or the one given. */
  readonly signingKey?: "unrelated" | CryptoKey;
  /** The encoded fields: version, serial, signature, issuer, validity, subject, SPKI, extensions. Signed afterwards. */
  readonly editTbsFields?: (fields: readonly Uint8Array[]) => readonly Uint8Array[];
  /** The encoded TBSCertificate. Signed afterwards. */
  readonly editTbs?: (tbs: Uint8Array) => Uint8Array;
  /** The finished certificate; nothing is signed afterwards. */
  readonly editCertificate?: (der: Uint8Array) => Uint8Array;
}

/** Object identifiers of the extensions in Nitro certificates (RFC 5280 §4.2.1). */
export const OID = {
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  basicConstraints: "2.5.29.19",
  crlDistributionPoints: "2.5.29.31",
  authorityKeyIdentifier: "2.5.29.35",
} as const;

/** A fresh EC key pair; extractable, because the root's is shared between processes. */
export async function generateKeyPair(curve: Curve = "P-384"): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey({ name: "ECDSA", namedCurve: curve }, true, ["sign", "verify"]);
}

/**
 * The DER of a certificate as `spec` describes it for `publicKey`, with `overrides`, signed by `issuerKey`.
 * Overrides of the description itself (names, dates, extensions) are the caller's to apply, with `applyOverrides`: an
 * issuer's changed subject must reach the certificates below it.
 */
export async function signCertificate(
  spec: CertificateSpec,
  publicKey: CryptoKey,
  issuerKey: CryptoKey,
  overrides: CertificateOverrides = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const signingKey = await signingKeyOf(issuerKey, overrides.signingKey);
  const hash = overrides.hash ?? "SHA-384";
  const certificate = await X509CertificateGenerator.create({
    serialNumber: toHex(spec.serial),
    subject: nameOf(spec.subject),
    issuer: nameOf(spec.issuer),
    notBefore: spec.notBefore,
    notAfter: spec.notAfter,
    publicKey,
    signingKey,
    signingAlgorithm: { name: "ECDSA", hash },
    extensions: spec.extensions.map(({ oid, critical, value }) => new Extension(oid, critical, copyBytes(value))),
  });
  const signed = editAndResign(new Uint8Array(certificate.rawData), signingKey, hash, overrides);
  return copyBytes(overrides.editCertificate?.(signed) ?? signed);
}

async function signingKeyOf(issuerKey: CryptoKey, override: CertificateOverrides["signingKey"]): Promise<CryptoKey> {
  if (override === undefined) return issuerKey;
  return override === "unrelated" ? (await generateKeyPair()).privateKey : override;
}

function nameOf(name: DistinguishedName): Name {
  return new Name(
    name.map(([type, text]) => ({ [type]: [type === "C" ? { printableString: text } : { utf8String: text }] })),
  );
}

function editAndResign(
  der: Uint8Array<ArrayBuffer>,
  signingKey: CryptoKey,
  hash: Hash,
  { editTbs, editTbsFields }: CertificateOverrides,
): Uint8Array<ArrayBuffer> {
  if (editTbs === undefined && editTbsFields === undefined) return der;
  const [original, algorithm] = splitConstructed(der);
  if (original === undefined || algorithm === undefined) throw new TypeError("a certificate has three parts");
  const fields = editTbsFields === undefined ? original : encodeSequence(...editTbsFields(splitConstructed(original)));
  const tbs = editTbs?.(fields) ?? fields;
  const derSignature = sign(hash.replace("-", ""), tbs, KeyObject.from(signingKey));
  return encodeSequence(tbs, algorithm, encodeBitString(derSignature));
}

/** `spec` with the overrides of its names, dates, serial and extensions. */
export function applyOverrides(spec: CertificateSpec, overrides: CertificateOverrides): CertificateSpec {
  const { serial, subject, issuer, notBefore, notAfter } = overrides;
  return {
    serial: serial ?? spec.serial,
    subject: subject ?? spec.subject,
    issuer: issuer ?? spec.issuer,
    notBefore: notBefore ?? spec.notBefore,
    notAfter: notAfter ?? spec.notAfter,
    extensions: overrideExtensions(spec.extensions, overrides),
  };
}

function overrideExtensions(
  standard: readonly ExtensionSpec[],
  { basicConstraints, keyUsage, extraExtensions = [], editExtensions }: CertificateOverrides,
): readonly ExtensionSpec[] {
  const changed = standard.flatMap((extension) => {
    if (extension.oid === OID.basicConstraints && basicConstraints !== undefined) {
      return basicConstraints === "absent" ? [] : [overrideBasicConstraints(extension, basicConstraints)];
    }
    if (extension.oid === OID.keyUsage && keyUsage !== undefined) {
      return keyUsage === "absent" ? [] : [overrideKeyUsage(extension, keyUsage)];
    }
    return [extension];
  });
  const all = [...changed, ...extraExtensions];
  return editExtensions?.(all) ?? all;
}

function overrideBasicConstraints(
  { oid, critical, value }: ExtensionSpec,
  override: Exclude<CertificateOverrides["basicConstraints"], "absent" | undefined>,
): ExtensionSpec {
  const standard = new BasicConstraintsExtension(new Extension(oid, critical, copyBytes(value)).rawData);
  const { ca = standard.ca, pathLength = standard.pathLength ?? "absent" } = override;
  const changed = new BasicConstraintsExtension(ca, pathLength === "absent" ? undefined : pathLength);
  return { oid, critical: override.critical ?? critical, value: new Uint8Array(changed.value) };
}

function overrideKeyUsage(
  { oid, critical, value }: ExtensionSpec,
  override: Exclude<CertificateOverrides["keyUsage"], "absent" | undefined>,
): ExtensionSpec {
  const changed = override.flags === undefined ? value : new Uint8Array(new KeyUsagesExtension(override.flags).value);
  return { oid, critical: override.critical ?? critical, value: changed };
}
