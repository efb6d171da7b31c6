/** STS's error codes and statuses (STS API reference, "Common errors"), where the signature check and KMS have other names. */
import { AwsError } from "../errors.js";

const CODES: Readonly<Record<string, readonly [code: string, status: number]>> = {
  AccessDeniedException: ["AccessDenied", 403],
  DependencyTimeoutException: ["ServiceUnavailable", 503],
  ExpiredTokenException: ["ExpiredToken", 403],
  IncompleteSignatureException: ["IncompleteSignature", 400],
  InvalidSignatureException: ["SignatureDoesNotMatch", 403],
  KMSInternalException: ["InternalFailure", 500],
  MalformedPolicyDocumentException: ["MalformedPolicyDocument", 400],
  MissingAuthenticationTokenException: ["MissingAuthenticationToken", 403],
  SerializationException: ["MalformedInput", 400],
  ThrottlingException: ["Throttling", 400],
  UnrecognizedClientException: ["InvalidClientTokenId", 403],
  ValidationException: ["ValidationError", 400],
};

/** Texts that are not KMS's. */
const MESSAGES: Readonly<Record<string, string>> = {
  MissingAuthenticationTokenException: "Request is missing Authentication Token",
  ThrottlingException: "Rate exceeded",
};

/** The error as STS answers it. */
export function toStsError({ type, message, status }: AwsError): AwsError {
  const [code, stsStatus] = CODES[type] ?? [type, status];
  return new AwsError(code, MESSAGES[type] ?? message, stsStatus);
}

export const accessDenied = (message: string): AwsError => new AwsError("AccessDenied", message, 403);
export const validationError = (message: string): AwsError => new AwsError("ValidationError", message);
export const invalidParameter = (message: string): AwsError => new AwsError("InvalidParameterValue", message);
