/**
 * The signature section of an enclave image (EIF), taken apart: a CBOR array of one map {signing_certificate, signature},
 * both as arrays of integers, the certificate in PEM and the signature a COSE_Sign1. AWS's reader takes more maps and
 * ignores all but the first; here they are refused, as is text around the certificate.
 *
 * Nothing is verified here: eif.ts measures the certificate, signature.ts verifies.
 */
import type { CborValue } from "../cbor.js";
import { decodeCbor } from "../cbor.js";
import { ServiceError } from "../errors.js";
import { decodePem } from "../pem.js";

/** A certificate and an ES512 signature, as arrays of one- and two-byte integers, take about 5 KiB. */
const MAX_SIGNATURE_SECTION_BYTES = 64 * 1024;

const malformed = (message: string): ServiceError => new ServiceError("ERR_EIF_MALFORMED", message);

/** The contents of the signature section; nothing of it is verified. */
export interface ImageSignature {
  readonly certificateDer: Uint8Array<ArrayBuffer>;
  readonly coseSign1: Uint8Array;
}

/** An image, as far as its signature is concerned. */
export interface SectionedImage {
  readonly sections: readonly { readonly type: string; readonly bytes: Uint8Array }[];
}

/**
 * The signature section, or undefined for an unsigned image.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED
 */
export function imageSignatureOf(eif: SectionedImage): ImageSignature | undefined {
  const section = eif.sections.find(({ type }) => type === "signature");
  if (section === undefined) return undefined;
  const signatures = decodeCbor(section.bytes, { maxBytes: MAX_SIGNATURE_SECTION_BYTES });
  if (!Array.isArray(signatures) || signatures.length !== 1) throw malformed("expected exactly one image signature");
  const [signature] = signatures;
  if (!(signature instanceof Map) || signature.size !== 2) throw malformed("the image signature is not a map of two");
  const pem = asciiOf(bytesOfIntegers(signature.get("signing_certificate"), "signing_certificate"));
  const certificateDer = pem === undefined ? undefined : decodePem(pem, "CERTIFICATE");
  if (certificateDer === undefined) {
    throw malformed("signing_certificate is not one certificate in PEM, with no text around it");
  }
  return { certificateDer, coseSign1: bytesOfIntegers(signature.get("signature"), "signature") };
}

/**
 * DER of the certificate in the signature section, or undefined for an unsigned image.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED
 */
export const signingCertificateOf = (eif: SectionedImage): Uint8Array<ArrayBuffer> | undefined =>
  imageSignatureOf(eif)?.certificateDer;

/**
 * A byte string as AWS's crate writes it: an array of integers. `name` is for the refusal.
 * @throws ServiceError ERR_EIF_MALFORMED
 */
export function bytesOfIntegers(value: CborValue | undefined, name: string): Uint8Array {
  const isByte = (n: CborValue) => typeof n === "number" && Number.isInteger(n) && n >= 0 && n <= 255;
  if (!Array.isArray(value) || !value.every(isByte)) throw malformed(`${name} is not an array of bytes`);
  return Uint8Array.from(value, Number);
}

/** PEM is ASCII (RFC 7468 §3): what a lenient decoder would drop or replace, a byte order mark say, must not pass. */
const asciiOf = (bytes: Uint8Array): string | undefined =>
  bytes.every((byte) => byte < 0x80) ? new TextDecoder().decode(bytes) : undefined;
