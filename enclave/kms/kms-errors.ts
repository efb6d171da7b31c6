/**
 * What a failed KMS call means to the enclave's callers: one of a few codes. KMS's message may repeat parts of a request
 * and stays unsaid; its error name and request id are enough to find the call in CloudTrail.
 */
import { KMSServiceException } from "@aws-sdk/client-kms";
import type { ErrorCode } from "../../shared/errors.js";
import { ServiceError } from "../../shared/errors.js";

/** Names that need another code than their HTTP status would give them (KMS API Reference, "Common Errors"). */
const CODES: Readonly<Record<string, ErrorCode>> = {
  AccessDeniedException: "ERR_KMS_DENIED",
  NotAuthorized: "ERR_KMS_DENIED",
  ExpiredTokenException: "ERR_CREDENTIALS",
  IncompleteSignature: "ERR_CREDENTIALS",
  InvalidClientTokenId: "ERR_CREDENTIALS",
  InvalidSignatureException: "ERR_CREDENTIALS",
  MissingAuthenticationTokenException: "ERR_CREDENTIALS",
  OptInRequired: "ERR_CREDENTIALS",
  RequestExpired: "ERR_CREDENTIALS",
  UnrecognizedClientException: "ERR_CREDENTIALS",
  DependencyTimeoutException: "ERR_KMS_UNAVAILABLE",
  KeyUnavailableException: "ERR_KMS_UNAVAILABLE",
  KMSInternalException: "ERR_KMS_UNAVAILABLE",
  LimitExceededException: "ERR_KMS_UNAVAILABLE",
  RequestLimitExceeded: "ERR_KMS_UNAVAILABLE",
  ServiceUnavailable: "ERR_KMS_UNAVAILABLE",
  ThrottlingException: "ERR_KMS_UNAVAILABLE",
};

/**
 * The ServiceError that stands for what a command of a KMSClient threw: ERR_KMS_DENIED, ERR_KMS_REFUSED (KMS will not do
 * it), ERR_CREDENTIALS, ERR_KMS_UNAVAILABLE (trying later may help), ERR_TIMEOUT. ServiceErrors stay as they are, and
 * so do programmer errors.
 */
export function kmsErrorOf(error: unknown): unknown {
  if (error instanceof ServiceError || error instanceof TypeError) return error;
  if (error instanceof KMSServiceException) return refusalOf(error);
  if (error instanceof Error && (error.name === "TimeoutError" || error.name === "AbortError")) {
    return new ServiceError("ERR_TIMEOUT", "the call to AWS KMS was given up", { cause: error });
  }
  return new ServiceError("ERR_KMS_UNAVAILABLE", "the call to AWS KMS failed", { cause: error });
}

function refusalOf(error: KMSServiceException): ServiceError {
  const { httpStatusCode = 0, requestId } = error.$metadata;
  const byStatus = httpStatusCode >= 400 && httpStatusCode < 500 ? "ERR_KMS_REFUSED" : "ERR_KMS_UNAVAILABLE";
  const code = (Object.hasOwn(CODES, error.name) ? CODES[error.name] : undefined) ?? byStatus;
  return new ServiceError(code, `AWS KMS answered ${printable(error.name)} (its request ${printable(requestId)})`, {
    cause: error,
  });
}

/** Names and ids come from the other side: only what looks like one goes into a message. */
const printable = (text: string | undefined): string =>
  text !== undefined && /^[A-Za-z0-9-]{1,64}$/.test(text) ? text : "unnamed";
