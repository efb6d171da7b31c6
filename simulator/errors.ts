/**
 * Errors as AWS KMS answers them: a type name, an optional text and an HTTP status (API_*, section "Errors"). Recorded
 * AWS answers are the source of the texts. They are answers of a protocol, not failures of this package, and so they
 * are no ServiceError.
 */

/** One of the errors that the KMS API names; every other failure becomes KMSInternalException. */
export class AwsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message = "", status = 400) {
    super(message);
    this.name = "AwsError";
    this.type = type;
    this.status = status;
  }
}

export const validationError = (message: string): AwsError => new AwsError("ValidationException", message);
export const notFound = (message: string): AwsError => new AwsError("NotFoundException", message);
export const accessDenied = (message: string): AwsError => new AwsError("AccessDeniedException", message);
export const unsupported = (message: string): AwsError => new AwsError("UnsupportedOperationException", message);
export const malformedPolicy = (message: string): AwsError => new AwsError("MalformedPolicyDocumentException", message);
/** Everything that depends on a ciphertext's content answers alike, and without a text. */
export const invalidCiphertext = (): AwsError => new AwsError("InvalidCiphertextException");
/** Developer Guide, "Throttling AWS KMS requests". */
export const throttled = (): AwsError =>
  new AwsError(
    "ThrottlingException",
    "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
  );
