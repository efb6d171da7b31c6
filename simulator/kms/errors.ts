/**
 * Errors as AWS KMS answers them: a type name, an optional text and an HTTP status (API_*, section "Errors"). Recorded
 * AWS answers are the source of the texts. They are answers of a protocol, not failures of this package, and so they
 * are no ServiceError.
 */

/** One of the errors that the KMS API names; every other failure becomes KMSInternalException. */
export class KmsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message = "", status = 400) {
    super(message);
    this.name = "KmsError";
    this.type = type;
    this.status = status;
  }
}

export const validationError = (message: string): KmsError => new KmsError("ValidationException", message);
export const notFound = (message: string): KmsError => new KmsError("NotFoundException", message);
export const accessDenied = (message: string): KmsError => new KmsError("AccessDeniedException", message);
export const unsupported = (message: string): KmsError => new KmsError("UnsupportedOperationException", message);
export const malformedPolicy = (message: string): KmsError => new KmsError("MalformedPolicyDocumentException", message);
/** Everything that depends on a ciphertext's content answers alike, and without a text. */
export const invalidCiphertext = (): KmsError => new KmsError("InvalidCiphertextException");
