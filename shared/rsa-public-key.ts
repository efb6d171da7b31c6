/**
 * RSA public keys as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7, RFC 3279 §2.3.1), in the one size that AWS KMS is known to
 * encrypt to: 2048 bits. It is the form in which an enclave puts its recipient key into an attestation document.
 *
 * Taken: strict DER, rsaEncryption with NULL parameters, an odd modulus of exactly 2048 bits, exponent 65537. Refused:
 * PEM, bare PKCS#1 and other sizes, all of which occur in genuine documents of enclaves that do not use KMS.
 */
import type { DerReader } from "./der.js";
import { readDer } from "./der.js";
import { ServiceError } from "./errors.js";

const OID_RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
const MODULUS_BYTES = 256;
const EXPONENT = 65537;
/** A 2048-bit key takes 294. */
const MAX_SPKI_BYTES = 512;

const refused = (message: string, cause?: unknown): ServiceError =>
  new ServiceError("ERR_PUBLIC_KEY", message, { cause });

/**
 * Checks that `spki` is an RSA-2048 public key. Who holds the private key is not a question of form.
 * @throws ServiceError ERR_PUBLIC_KEY.
 */
export function assertRsa2048Spki(spki: Uint8Array<ArrayBuffer>): void {
  try {
    readDer(spki, MAX_SPKI_BYTES, (reader) => reader.sequence(readSpki));
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code === "ERR_PUBLIC_KEY") throw error;
    throw refused("public key is not DER of a SubjectPublicKeyInfo with an RSA key", error);
  }
}

function readSpki(spki: DerReader): void {
  spki.sequence((algorithm) => {
    if (algorithm.objectIdentifier() !== OID_RSA_ENCRYPTION) throw refused("public key is not an RSA key");
    algorithm.null();
  });
  spki.bitStringHolding((key) =>
    key.sequence((components) => {
      const modulus = components.unsignedInteger();
      const bits = modulus.length === MODULUS_BYTES && (modulus[0] ?? 0) >= 0x80;
      if (!bits) throw refused("RSA modulus does not have 2048 bits");
      if (((modulus.at(-1) ?? 0) & 1) === 0) throw refused("RSA modulus is even");
      if (components.smallInteger() !== EXPONENT) throw refused(`RSA exponent is not ${EXPONENT}`);
    }),
  );
}
