/**
 * COSE_Sign1 (RFC 9052 §4.2) in the one profile of Nitro attestation documents: ES384, no external data, an empty
 * unprotected header. (The signature of an enclave image has the same form, with the algorithm of its signer's key:
 * eif/signature.ts.)
 *
 * Taken: an array of four, bare as all genuine documents or under tag 18 as in the AWS text; a protected header that holds
 * the algorithm and nothing else. Refused: every other algorithm and header parameter, detached or oversized payloads,
 * indefinite lengths. The algorithm is fixed by whoever reads, not chosen by the message.
 *
 * The framing is not signed (the tag may come and go) and ECDSA signatures have twins, so the bytes of a message do not
 * identify it: never use their hash as a key.
 */
import { equalBytes } from "./bytes.js";
import { decodeCbor, encodeCbor, isCborBytes } from "./cbor.js";
import { ServiceError } from "./errors.js";

/** The parts of a COSE_Sign1 of the profile; the signature has not been looked at. */
export interface CoseSign1 {
  /** The protected header as it stood in the message: the bytes that the signature covers. */
  readonly protectedHeader: Uint8Array<ArrayBuffer>;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** r‖s, each as long as the curve's order: 48 bytes in ES384. */
  readonly rawSignature: Uint8Array<ArrayBuffer>;
}

/** The one algorithm that a reader takes (RFC 9053 §2.1), with the one curve that AWS's COSE library uses it on. */
export interface CoseAlgorithm {
  readonly name: "ES256" | "ES384" | "ES512";
  readonly id: number;
  readonly namedCurve: "P-256" | "P-384" | "P-521";
  readonly hash: "SHA-256" | "SHA-384" | "SHA-512";
  readonly signatureBytes: number;
  /** {1: id}, in the one encoding that it has. */
  readonly protectedHeader: readonly number[];
}

/** The algorithm of attestation documents. */
export const ES384: CoseAlgorithm = {
  name: "ES384",
  id: -35,
  namedCurve: "P-384",
  hash: "SHA-384",
  signatureBytes: 96,
  protectedHeader: [0xa1, 0x01, 0x38, 0x22],
};

/** RFC 9052 §4.2. */
const TAG_COSE_SIGN1 = 18;
/** AWS attestation_process.md §2.2: payload of 1..16384 bytes. */
const MAX_PAYLOAD_BYTES = 16384;
/** The payload, and ample room for the rest; what is too long is then refused for its payload. */
const MAX_MESSAGE_BYTES = MAX_PAYLOAD_BYTES + 1024;

/** RFC 9052 §3.1: header parameter alg. */
const HEADER_ALGORITHM = 1;

const malformed = (message: string): ServiceError => new ServiceError("ERR_COSE_MALFORMED", message);

/** The protected header of every message of the profile: {1: -35}. */
export const encodeProtectedHeader = (): Uint8Array<ArrayBuffer> => Uint8Array.from(ES384.protectedHeader);

/**
 * Takes a COSE_Sign1 of the profile apart. The parts are copies. Who signed it, and whether at all, is `verifyCoseSign1`'s
 * to say.
 * @throws ServiceError ERR_CBOR_MALFORMED, ERR_COSE_MALFORMED, ERR_COSE_ALGORITHM.
 */
export const decodeCoseSign1 = (bytes: Uint8Array): CoseSign1 => decodeCoseSign1With(ES384, bytes);

/** As `decodeCoseSign1`, where the reader knows another algorithm from elsewhere. */
export function decodeCoseSign1With(algorithm: CoseAlgorithm, bytes: Uint8Array): CoseSign1 {
  // AV-01 one CBOR item, under tag 18 or none, nothing after it
  const message = decodeCbor(bytes, { maxBytes: MAX_MESSAGE_BYTES, tag: TAG_COSE_SIGN1 });
  if (!Array.isArray(message) || message.length !== 4) throw malformed("expected an array of four");
  const [protectedHeader, unprotectedHeader, payload, rawSignature] = message;
  if (!isCborBytes(protectedHeader)) throw malformed("protected header is not a byte string");
  assertProtectedHeader(algorithm, protectedHeader);
  // AV-02 what the signature does not cover must be empty
  if (!(unprotectedHeader instanceof Map) || unprotectedHeader.size !== 0) {
    throw malformed("unprotected header is not an empty map");
  }
  // AV-03 sizes of payload and signature
  if (!isCborBytes(payload) || payload.length < 1 || payload.length > MAX_PAYLOAD_BYTES) {
    throw malformed(`payload is not a byte string of 1 to ${MAX_PAYLOAD_BYTES} bytes`);
  }
  if (!isCborBytes(rawSignature) || rawSignature.length !== algorithm.signatureBytes) {
    throw malformed(`signature is not a byte string of ${algorithm.signatureBytes} bytes`);
  }
  return { protectedHeader, payload, rawSignature };
}

function assertProtectedHeader({ name, id, protectedHeader }: CoseAlgorithm, bytes: Uint8Array): void {
  // AV-02 exactly {1: -35}: in strict CBOR that map has one encoding, so all the rest only finds the reason
  if (equalBytes(bytes, Uint8Array.from(protectedHeader))) return;
  const header = bytes.length === 0 ? new Map() : decodeCbor(bytes, { maxBytes: MAX_MESSAGE_BYTES });
  if (!(header instanceof Map)) throw malformed("protected header does not hold a map");
  if (header.get(HEADER_ALGORITHM) !== id) {
    throw new ServiceError("ERR_COSE_ALGORITHM", `protected header algorithm is not ${name}`);
  }
  throw malformed("protected header holds more than the algorithm");
}

/** Sig_structure (RFC 9052 §4.4) without external data: the bytes that are signed. */
export function encodeSigStructure(protectedHeader: Uint8Array, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  return encodeCbor(["Signature1", protectedHeader, new Uint8Array(0), payload]);
}

/**
 * Verifies the signature with a P-384 key. On return the holder of that key signed exactly this payload; whose key it is
 * must be known from elsewhere.
 * @throws ServiceError ERR_COSE_SIGNATURE; TypeError when the key is not a P-384 ECDSA key.
 */
export const verifyCoseSign1 = (cose: CoseSign1, publicKey: CryptoKey): Promise<void> =>
  verifyCoseSign1With(ES384, cose, publicKey);

/** As `verifyCoseSign1`, for what `decodeCoseSign1With` took apart. */
export async function verifyCoseSign1With(
  { name, namedCurve, hash }: CoseAlgorithm,
  cose: CoseSign1,
  publicKey: CryptoKey,
): Promise<void> {
  const { algorithm } = publicKey;
  if (algorithm.name !== "ECDSA" || !("namedCurve" in algorithm) || algorithm.namedCurve !== namedCurve) {
    throw new TypeError(`${name} needs a ${namedCurve} ECDSA key`);
  }
  // AV-10 over the original protected and payload bytes
  const signed = encodeSigStructure(cose.protectedHeader, cose.payload);
  const valid = await crypto.subtle.verify({ name: "ECDSA", hash }, publicKey, cose.rawSignature, signed);
  if (!valid) throw new ServiceError("ERR_COSE_SIGNATURE", "signature does not verify under the signer's key");
}
