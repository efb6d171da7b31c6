/**
 * Makes the AWS SDK's own KMSClient attested (DESIGN decision 1), by one middleware at the step `initialize`. For the
 * five operations that take `Recipient` (KMS API: Decrypt, DeriveSharedSecret, GenerateDataKey, GenerateDataKeyPair,
 * GenerateRandom) it adds the attestation document, insists on CiphertextForRecipient, and hands the opened plaintext on
 * in the field where KMS would have sent it.
 *
 * Refused: an answer with plaintext in a field that the SDK reads (PITFALLS 2), whatever the operation; a key that is not pinned, asked for
 * or answered with (PITFALLS 4); a command that brings its own Recipient. Not decided here: who answers. A
 * CiphertextForRecipient is encryption to a public key, and only TLS that ends in the enclave tells that KMS made it
 * (PITFALLS 1, kms-tunnel.ts).
 */
import type { KMSClient, ServiceInputTypes, ServiceOutputTypes } from "@aws-sdk/client-kms";
import { copyBytes, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { AttestedOperation, KmsAnswerFields, KmsRequestFields } from "./attested-operations.js";
import { attestedOperation } from "./attested-operations.js";
import type { PinnedKey, PinnedKeys } from "./pinned-keys.js";
import type { Recipient, RecipientLease } from "./recipient.js";

const MIDDLEWARE_NAME = "nitroDecryptAttestKms";

/**
 * Adds the middleware to `client` and returns the same client. Whatever uses it from now on makes attested calls.
 *
 * Besides the SDK's errors, its commands then reject with ServiceError ERR_KMS_KEY (key not pinned, or not the one asked
 * for), ERR_KMS_ANSWER (plaintext in the answer, no CiphertextForRecipient, not of the length asked for),
 * ERR_CMS_MALFORMED, ERR_DECRYPTION_FAILED and those of `recipient.lease`; and with TypeError when a command brings a
 * Recipient of its own.
 * @throws TypeError when the client is attested already.
 */
export function attestKms(client: KMSClient, recipient: Recipient): KMSClient {
  if (client.middlewareStack.identify().some((entry) => entry.startsWith(MIDDLEWARE_NAME))) {
    throw new TypeError("attestKms: the client is attested already");
  }
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = attestedOperation(context.commandName);
      const request = requestFields(args.input);
      const asked = keyAskedFor(request, recipient.keys);
      if (operation === undefined) {
        const result = await next(args);
        checkUnattested(answerFields(result.output), recipient.keys, asked);
        return result;
      }
      const lease = await recipient.lease();
      const { output, ...rest } = await next({ ...args, input: withRecipient(args.input, lease) });
      const answer = answerFields(output);
      refusePlaintext(answer);
      if (operation.hasKey) recipient.keys.resolveAnswer(answer.KeyId, asked);
      const plaintext = openAnswer(answer, request, operation, lease);
      return {
        ...rest,
        output: { ...output, CiphertextForRecipient: undefined, [operation.plaintextField]: plaintext },
      };
    },
    // Priority low is innermost of its step: what is checked is what other middleware has made of a command, and what
    // that sees of an answer is what has passed the checks.
    { step: "initialize", name: MIDDLEWARE_NAME, priority: "low" },
  );
  return client;
}

/** The SDK types the stack by the union of all commands; every field below is optional, and looked at before it is used. */
const requestFields = (input: ServiceInputTypes): KmsRequestFields => input as KmsRequestFields;
const answerFields = (output: ServiceOutputTypes): KmsAnswerFields => output as KmsAnswerFields;

/**
 * The pinned key that a command asks for, if it names one.
 * @throws ServiceError ERR_KMS_KEY when a key that it names is not pinned.
 */
function keyAskedFor(request: KmsRequestFields, keys: PinnedKeys): PinnedKey | undefined {
  // KMS would answer to somebody else's key, or the caller believes that it would.
  if (request.Recipient !== undefined) throw new TypeError("attestKms: the command brings a Recipient of its own");
  if (request.SourceKeyId !== undefined) keys.resolve(request.SourceKeyId);
  const keyId = request.KeyId ?? request.DestinationKeyId;
  return keyId === undefined ? undefined : keys.resolve(keyId);
}

/** API_RecipientInfo; RSAES_OAEP_SHA_256 is the only algorithm there. */
const withRecipient = (input: ServiceInputTypes, lease: RecipientLease): ServiceInputTypes => ({
  ...input,
  Recipient: {
    KeyEncryptionAlgorithm: "RSAES_OAEP_SHA_256",
    AttestationDocument: copyBytes(lease.attestationDocument),
  },
});

/** The answer to an operation that takes no Recipient: it has no plaintext either, and comes from the key asked for. */
function checkUnattested(answer: KmsAnswerFields, keys: PinnedKeys, asked: PinnedKey | undefined): void {
  refusePlaintext(answer);
  if (asked !== undefined && answer.KeyId !== undefined) keys.resolveAnswer(answer.KeyId, asked);
}

/**
 * Plaintext in an answer has passed through whoever carried it, and means that the Recipient was dropped on the way
 * (PITFALLS 2).
 * @throws ServiceError ERR_KMS_ANSWER, after wiping it.
 */
function refusePlaintext({ Plaintext, PrivateKeyPlaintext, SharedSecret }: KmsAnswerFields): void {
  // The types are the SDK's; over the gateway the parent chooses the values.
  const fields: readonly unknown[] = [Plaintext, PrivateKeyPlaintext, SharedSecret];
  const plaintexts = fields.filter((field) => field !== undefined && field !== null && !isEmptyBytes(field));
  if (plaintexts.length === 0) return;
  wipe(...plaintexts.filter((field) => field instanceof Uint8Array));
  throw new ServiceError("ERR_KMS_ANSWER", "expected an answer to the recipient alone, it holds plaintext");
}

const isEmptyBytes = (field: unknown): boolean => field instanceof Uint8Array && field.length === 0;

function openAnswer(
  answer: KmsAnswerFields,
  request: KmsRequestFields,
  operation: AttestedOperation,
  lease: RecipientLease,
): Uint8Array {
  const sealed = answer.CiphertextForRecipient;
  if (!(sealed instanceof Uint8Array) || sealed.length === 0) {
    throw new ServiceError("ERR_KMS_ANSWER", "expected CiphertextForRecipient in the answer of KMS, there is none");
  }
  const plaintext = lease.open(sealed);
  if (operation.isAnswer(plaintext, request)) return plaintext;
  wipe(plaintext);
  throw new ServiceError("ERR_KMS_ANSWER", "expected plaintext of the length or form asked for, KMS sealed another");
}
