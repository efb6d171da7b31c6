/**
 * The signature of an enclave image: a COSE_Sign1 in the EIF's signature section, over CBOR
 * {register_index: 0, register_value: PCR0 as 48 integers}, by the key of the certificate beside it.
 *
 * Taken: ES256, ES384 and ES512, each on its own curve, as the certificate's key demands; an untagged COSE_Sign1 as AWS's
 * tools write it, or one under tag 18, which they read as well. Refused: everything else, and a PCR0 that is not the image's.
 *
 * A valid signature says that the holder of the certificate's key signed this PCR0. Whose certificate it is stays open:
 * anybody can make one. PCR0 covers kernel, command line and ramdisks; not the metadata, nor where one part ends.
 */
import { equalBytes } from "../bytes.js";
import { decodeCbor } from "../cbor.js";
import type { CoseAlgorithm } from "../cose.js";
import { decodeCoseSign1With, ES384, verifyCoseSign1With } from "../cose.js";
import { ServiceError } from "../errors.js";
import type { Eif } from "./eif.js";
import { bytesOfIntegers, imageSignatureOf } from "./signature-section.js";
import type { NamedCurve, SigningCertificate } from "./signing-certificate.js";
import { readSigningCertificate } from "./signing-certificate.js";

export interface VerifiedEifSignature {
  readonly algorithm: CoseAlgorithm["name"];
  readonly certificate: SigningCertificate;
  /** Whether the certificate is valid at the given time. `nitro-cli` starts no image whose certificate is not. */
  readonly certificateCurrent: boolean;
}

/** RFC 9053 §2.1, table 1. */
const ALGORITHM_OF_CURVE: Readonly<Record<NamedCurve, CoseAlgorithm>> = {
  "P-256": {
    name: "ES256",
    id: -7,
    namedCurve: "P-256",
    hash: "SHA-256",
    signatureBytes: 64,
    protectedHeader: [0xa1, 0x01, 0x26],
  },
  "P-384": ES384,
  "P-521": {
    name: "ES512",
    id: -36,
    namedCurve: "P-521",
    hash: "SHA-512",
    signatureBytes: 132,
    protectedHeader: [0xa1, 0x01, 0x38, 0x23],
  },
};

/** Two names and 48 integers of at most two bytes take 130. */
const MAX_PAYLOAD_BYTES = 256;

const malformed = (message: string): ServiceError => new ServiceError("ERR_EIF_MALFORMED", message);

/**
 * Verifies the signature of an image whose measured PCR0 is `pcr0`. On return the certificate's key signed exactly that
 * PCR0. Undefined for an image without a signature section: that is not a refusal, and nothing is proved then.
 * Does not check the CRC-32, nor who issued the certificate; its validity at `now` is reported and not judged.
 * @throws ServiceError ERR_EIF_MALFORMED, ERR_CBOR_MALFORMED, ERR_DER_MALFORMED, ERR_COSE_MALFORMED: the section is not of
 *   the form; ERR_COSE_ALGORITHM: the algorithm is not that of the key; ERR_COSE_SIGNATURE: the key did not sign this;
 *   ERR_EIF_SIGNATURE: it signed another PCR0.
 */
export async function verifyEifSignature(
  eif: Eif,
  { pcr0, now }: { readonly pcr0: Uint8Array; readonly now: Date },
): Promise<VerifiedEifSignature | undefined> {
  const signature = imageSignatureOf(eif);
  if (signature === undefined) return undefined;
  const certificate = await readSigningCertificate(signature.certificateDer);
  const algorithm = ALGORITHM_OF_CURVE[certificate.namedCurve];
  const cose = decodeCoseSign1With(algorithm, signature.coseSign1);
  await verifyCoseSign1With(algorithm, cose, await importKey(certificate));
  if (!equalBytes(readSignedPcr0(cose.payload), pcr0)) {
    throw new ServiceError("ERR_EIF_SIGNATURE", "the signed PCR0 is not that of the image");
  }
  const certificateCurrent = certificate.notBefore <= now && now <= certificate.notAfter;
  return { algorithm: algorithm.name, certificate, certificateCurrent };
}

async function importKey({ publicKeyPoint, namedCurve }: SigningCertificate): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey("raw", publicKeyPoint, { name: "ECDSA", namedCurve }, false, ["verify"]);
  } catch (cause) {
    throw new ServiceError("ERR_EIF_MALFORMED", `the signing key is not a point on ${namedCurve}`, { cause });
  }
}

/** PcrInfo of AWS's crate: exactly {register_index: 0, register_value: [48 integers]}. */
function readSignedPcr0(payload: Uint8Array): Uint8Array {
  const info = decodeCbor(payload, { maxBytes: MAX_PAYLOAD_BYTES });
  if (!(info instanceof Map) || info.size !== 2) throw malformed("the signed payload is not a map of two entries");
  if (info.get("register_index") !== 0) throw malformed("the signed register is not PCR0");
  const value = bytesOfIntegers(info.get("register_value"), "register_value");
  if (value.length !== 48) throw malformed("register_value does not have 48 bytes");
  return value;
}
