/**
 * One error class with a stable, typed code. A refusal has one reason: callers and tests match on `code`, never on the
 * message. Malformed (a parser), not genuine (verify) and not wanted (appraise) are told apart by the code.
 *
 * Every code is explained in docs/errors.md; test/docs.test.ts holds the two lists against each other.
 */

/** Code → HTTP status and title, as sent in problem documents (RFC 9457). A code that is not listed does not compile. */
export const ERRORS = {
  ERR_MESSAGE_MALFORMED: { status: 400, title: "the request is not of the expected form" },
  ERR_MESSAGE_TOO_LARGE: { status: 413, title: "the message is larger than its limit" },
  ERR_NOT_FOUND: { status: 404, title: "there is no such operation" },
  ERR_METHOD_NOT_ALLOWED: { status: 405, title: "the operation takes another method" },
  ERR_CONTENT_TYPE: { status: 415, title: "the body is not of the media type that the operation takes" },
  ERR_BHTTP_MALFORMED: { status: 400, title: "the Binary HTTP message is malformed" },
  ERR_OHTTP_MALFORMED: { status: 400, title: "the sealed message or the key configuration is malformed" },
  ERR_KEY_CONFIGURATION: {
    status: 400,
    title: "the request is sealed to a key that the enclave does not have, or no longer",
  },
  ERR_REPLAYED: { status: 409, title: "the request has been seen before" },
  ERR_OTHER_ENCLAVE: { status: 421, title: "the request is for another enclave, or names none where it must" },
  ERR_CLOCK_SKEW: { status: 400, title: "the request's date is too far from the enclave's clock" },
  ERR_TOKEN_MISSING: { status: 401, title: "the operation needs a token" },
  ERR_TOKEN_MALFORMED: { status: 401, title: "the token is not of the form that the configuration takes" },
  ERR_TOKEN_UNTRUSTED: { status: 401, title: "the token was not issued by a pinned issuer for this service" },
  ERR_TOKEN_TIME: { status: 401, title: "the token is not valid at this time" },
  ERR_TOKEN_BINDING: { status: 401, title: "the token is bound to a key whose possession was not proved" },
  ERR_NOT_AUTHORIZED: { status: 403, title: "no policy permits this" },
  ERR_BUDGET: { status: 429, title: "the caller's budget is used up" },
  ERR_FUNCTION_REFUSED: { status: 422, title: "the function refused its input" },
  ERR_FUNCTION_FAILED: { status: 500, title: "the function failed, or its output is not of the form that it declares" },
  ERR_CERTIFICATE: { status: 500, title: "the TLS certificate is not one that the configuration allows" },
  ERR_CBOR_MALFORMED: { status: 400, title: "the CBOR is malformed or not of the strict form" },
  ERR_DER_MALFORMED: { status: 400, title: "the DER is malformed" },
  ERR_COSE_MALFORMED: { status: 400, title: "the COSE_Sign1 structure is malformed" },
  ERR_COSE_ALGORITHM: { status: 400, title: "the COSE algorithm is not the one that the reader takes" },
  ERR_COSE_SIGNATURE: { status: 400, title: "the COSE signature does not verify" },
  ERR_CERT_MALFORMED: { status: 400, title: "a certificate is outside the Nitro profile" },
  ERR_CERT_PATH: { status: 400, title: "the certification path does not hold" },
  ERR_CERT_TIME: { status: 400, title: "a certificate is not valid at the given time" },
  ERR_TRUST_ANCHOR: { status: 400, title: "the chain does not start at the pinned root" },
  ERR_ATTESTATION_MALFORMED: { status: 400, title: "the attestation document is malformed" },
  ERR_NOT_ENCLAVE: { status: 400, title: "the document attests something else than a Nitro enclave" },
  ERR_DEBUG_ENCLAVE: { status: 403, title: "the enclave runs in debug mode" },
  ERR_PCR_MISMATCH: { status: 403, title: "a PCR differs from its reference value" },
  ERR_NONCE_MISMATCH: { status: 403, title: "the nonce is not the one that was sent" },
  ERR_STALE: { status: 403, title: "the attestation document is too old, or from the future" },
  ERR_USER_DATA_MISMATCH: { status: 403, title: "the user data is not what the policy demands" },
  ERR_PUBLIC_KEY: { status: 403, title: "the attested public key is not what the policy demands" },
  ERR_CMS_MALFORMED: { status: 400, title: "the CiphertextForRecipient is malformed" },
  ERR_EIF_MALFORMED: { status: 400, title: "the enclave image file is malformed" },
  ERR_EIF_CRC: { status: 400, title: "the enclave image file is damaged: its CRC-32 is another" },
  ERR_EIF_SIGNATURE: { status: 400, title: "the signature in the enclave image file is of another image" },
  ERR_DECRYPTION_FAILED: { status: 400, title: "decryption failed" },
  ERR_CONFIGURATION: { status: 500, title: "the configuration is not valid" },
  ERR_NSM: { status: 502, title: "the Nitro Security Module refused or did not answer as specified" },
  ERR_CREDENTIALS: { status: 503, title: "there are no valid AWS credentials" },
  ERR_KMS_DENIED: { status: 403, title: "AWS KMS denied access" },
  ERR_KMS_REFUSED: { status: 400, title: "AWS KMS refused the request" },
  ERR_KMS_UNAVAILABLE: { status: 503, title: "AWS KMS cannot be reached" },
  ERR_KMS_UNTRUSTED: { status: 502, title: "who answered is not AWS KMS under the pinned roots" },
  ERR_KMS_ANSWER: { status: 502, title: "the answer of AWS KMS is not an attested answer" },
  ERR_KMS_KEY: { status: 403, title: "the KMS key is not one that the configuration names, or not the one asked for" },
  ERR_BRANCH_KEY: { status: 403, title: "the key store has no such branch key, or not in the form that counts" },
  ERR_KEY_STORE: { status: 503, title: "the store of branch keys cannot be reached, or does not answer as it should" },
  ERR_ROLLBACK: { status: 409, title: "older state than one that was seen before" },
  ERR_ENCRYPTION_CONTEXT: {
    status: 403,
    title: "the encryption context lacks a pair that is required, or is not one for callers",
  },
  ERR_GATEWAY_REFUSED: { status: 403, title: "the gateway transport does not carry this operation" },
  ERR_SEALING_SEED: { status: 503, title: "the sealing seed of the fleet cannot be had, or is not one of this fleet" },
  ERR_CHANNEL_CLOSED: { status: 403, title: "the configuration keeps this channel closed" },
  ERR_ADDRESS: { status: 500, title: "the address cannot be used" },
  ERR_ENCLAVE_UNAVAILABLE: { status: 503, title: "the enclave cannot be reached" },
  ERR_NOT_READY: { status: 503, title: "the enclave has not made a successful attested KMS call" },
  ERR_BUSY: { status: 503, title: "too many requests at once" },
  ERR_TIMEOUT: { status: 504, title: "the deadline passed" },
  ERR_INTERNAL: { status: 500, title: "internal error" },
} as const satisfies Record<string, { status: number; title: string }>;

/** The stable identity of a refusal. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * The only error that this package throws on purpose (programmer mistakes are `TypeError`).
 * `message` says what was expected and what came, never input bytes; `cause` stays in the local log.
 */
export class ServiceError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ServiceError";
    this.code = code;
  }
}

/** Whether `text` is one of the codes; for codes that arrive over the wire. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(ERRORS, text);
}

/** `error` itself when it is a ServiceError, else an ERR_INTERNAL that carries it as its cause. */
export function toServiceError(error: unknown): ServiceError {
  return error instanceof ServiceError
    ? error
    : new ServiceError("ERR_INTERNAL", "unexpected failure", { cause: error });
}
