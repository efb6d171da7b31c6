/**
 * The KMS gateway's end on the parent: makes one KMS call for an enclave that has neither credentials nor TLS. It
 * carries Decrypt and GenerateRandom, always with the enclave's `Recipient`, and nothing else. Which answers can be
 * believed is the enclave's decision; this end hands on what KMS said, in the form of AWS JSON 1.1.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { DecryptCommand, GenerateRandomCommand, KMSServiceException } from "@aws-sdk/client-kms";
import { z } from "zod";
import { fromBase64, toBase64 } from "../shared/bytes.js";
import { ServiceError } from "../shared/errors.js";
import { bytesOf, parseJson, parseWith } from "../shared/wire.js";

/** The answer of KMS: its HTTP status and AWS JSON body. */
export interface GatewayAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const base64Text = z.string().refine((text) => fromBase64(text) !== undefined, "expected canonical base64");
const recipient = z.strictObject({
  KeyEncryptionAlgorithm: z.literal("RSAES_OAEP_SHA_256"),
  AttestationDocument: base64Text.min(1),
});
const gatewayCall = z.strictObject({ target: z.string(), body: z.record(z.string(), z.unknown()) });
const decryptBody = z.strictObject({
  CiphertextBlob: base64Text.min(1),
  EncryptionContext: z.record(z.string(), z.string()).optional(),
  EncryptionAlgorithm: z.enum(["SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]).optional(),
  KeyId: z.string().optional(),
  Recipient: recipient,
});
const generateRandomBody = z.strictObject({ NumberOfBytes: z.int().min(1).max(1024), Recipient: recipient });

/**
 * Makes the call that `text` (JSON `{target, body}`) asks for.
 * @throws ServiceError ERR_MESSAGE_MALFORMED; ERR_GATEWAY_REFUSED (another operation, or no Recipient);
 *   ERR_KMS_UNAVAILABLE (KMS did not answer). A refusal by KMS is an answer.
 */
export async function callKms(client: KMSClient, text: string, deadlineMs: number): Promise<GatewayAnswer> {
  const { target, body } = parseJson(gatewayCall, text, "ERR_MESSAGE_MALFORMED");
  const abortSignal = AbortSignal.timeout(deadlineMs);
  const send = prepare(client, target, body);
  try {
    return { status: 200, body: toAwsJson(await send({ abortSignal })) };
  } catch (error) {
    if (error instanceof KMSServiceException && error.$metadata.httpStatusCode !== undefined) {
      return { status: error.$metadata.httpStatusCode, body: { __type: error.name, message: error.message } };
    }
    throw new ServiceError("ERR_KMS_UNAVAILABLE", "expected an answer of AWS KMS", { cause: error });
  }
}

type Send = (options: { abortSignal: AbortSignal }) => Promise<object>;

function prepare(client: KMSClient, target: string, body: Readonly<Record<string, unknown>>): Send {
  if (target !== "TrentService.Decrypt" && target !== "TrentService.GenerateRandom") {
    throw new ServiceError("ERR_GATEWAY_REFUSED", "expected TrentService.Decrypt or TrentService.GenerateRandom");
  }
  // PITFALLS 2: without Recipient, KMS would answer with the plaintext, to us.
  if (body.Recipient === undefined || body.Recipient === null) {
    throw new ServiceError("ERR_GATEWAY_REFUSED", "expected a Recipient");
  }
  if (target === "TrentService.Decrypt") {
    const { CiphertextBlob, Recipient, ...rest } = parseWith(decryptBody, body, "ERR_MESSAGE_MALFORMED");
    const command = new DecryptCommand({
      ...rest,
      CiphertextBlob: bytesOf(CiphertextBlob),
      Recipient: recipientOf(Recipient),
    });
    return (options) => client.send(command, options);
  }
  const { NumberOfBytes, Recipient } = parseWith(generateRandomBody, body, "ERR_MESSAGE_MALFORMED");
  const command = new GenerateRandomCommand({ NumberOfBytes, Recipient: recipientOf(Recipient) });
  return (options) => client.send(command, options);
}

const recipientOf = ({ KeyEncryptionAlgorithm, AttestationDocument }: z.infer<typeof recipient>) => ({
  KeyEncryptionAlgorithm,
  AttestationDocument: bytesOf(AttestationDocument),
});

/** The members of an SDK answer as AWS JSON; `$metadata` is the SDK's own. */
function toAwsJson(output: object): Record<string, unknown> {
  const members = Object.entries(output).filter(([name, value]) => name !== "$metadata" && value !== undefined);
  return Object.fromEntries(
    members.map(([name, value]) => [name, value instanceof Uint8Array ? toBase64(value) : value]),
  );
}
