/**
 * The enclave's operations on KMS keys: the schemas of shared/wire.ts in, their answers out. Each asks for the key before
 * it uses it. They know nothing of HTTP or of the channel that carries them.
 */
import { GenerateDataKeyCommand, GenerateRandomCommand } from "@aws-sdk/client-kms";
import type { z } from "zod";
import { fromBase64, toBase64, utf8, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { DataKeyRequest, DecryptRequest, MessageDecryptRequest, RandomRequest } from "../../shared/wire.js";
import {
  bytesOf,
  dataKeyRequest,
  decodeUtf8,
  decryptRequest,
  encryptionContext,
  MAX_MESSAGE_REQUEST_BYTES,
  MAX_REQUEST_BYTES,
  messageDecryptRequest,
  parseJson,
  randomRequest,
} from "../../shared/wire.js";
import type { Decryption, DecryptionOptions } from "./decryption.js";
import type { Call, Operation } from "./guard.js";
import { STREAM_TYPE } from "./guard.js";
import type { RequestFields, RoutedAnswer } from "./route.js";
import { jsonAnswer } from "./route.js";

export interface OperationsOptions extends Pick<DecryptionOptions, "kms" | "keys" | "health"> {
  readonly decryption: Decryption;
}

export interface JsonOperation<T> extends Pick<Operation, "resource" | "maxBodyBytes"> {
  readonly schema: z.ZodType<T>;
  readonly run: (request: T, call: Call) => Promise<RoutedAnswer>;
}

/** An operation with a body in JSON. */
export function jsonOperation<T>(name: string, { schema, run, ...rest }: JsonOperation<T>): Operation {
  return {
    ...{ name, ...rest },
    run: (body, call) => run(parseJson(schema, decodeUtf8(body), "ERR_MESSAGE_MALFORMED"), call),
  };
}

/** All of them. They throw, besides what shared/wire.ts refuses, the ServiceErrors of `Decryption`. */
export function createOperations(options: OperationsOptions): Operation[] {
  const { decryption } = options;
  const withKey = { resource: "Key", maxBodyBytes: MAX_REQUEST_BYTES } as const;
  const message = { ...withKey, maxBodyBytes: MAX_MESSAGE_REQUEST_BYTES };
  return [
    jsonOperation("decrypt", {
      ...withKey,
      schema: decryptRequest,
      run: (request, call) => decrypt(decryption, request, call),
    }),
    jsonOperation("data-keys", {
      ...withKey,
      schema: dataKeyRequest,
      run: (request, call) => dataKey(options, request, call),
    }),
    jsonOperation("random", {
      ...{ ...withKey, resource: "Enclave" },
      schema: randomRequest,
      run: (request, call) => random(options, request, call),
    }),
    {
      ...jsonOperation("messages/decrypt", {
        ...message,
        schema: messageDecryptRequest,
        run: (request, call) => decryptMessage(decryption, request, call),
      }),
      runStream: (body, call, fields) => decryptStream(decryption, body, { call, fields }),
    },
  ];
}

async function decrypt(decryption: Decryption, request: DecryptRequest, call: Call): Promise<RoutedAnswer> {
  const { plaintext, keyArn } = await decryption.ciphertext(request, call);
  return jsonAnswer({ plaintext: taken(plaintext), keyId: keyArn }, keyArn);
}

const DATA_KEY_BYTES = { AES_128: 16, AES_256: 32 } as const;

/** KMS GenerateDataKey. */
async function dataKey({ kms, keys, health }: OperationsOptions, request: DataKeyRequest, call: Call) {
  const { keySpec: KeySpec, encryptionContext: context = {} } = request;
  const key = keys.resolve(request.keyId);
  call.authorize({ key, encryptionContext: context, bytes: DATA_KEY_BYTES[KeySpec] });
  const client = kms.operations();
  const command = new GenerateDataKeyCommand({
    KeyId: key.arn,
    KeySpec,
    EncryptionContext: request.encryptionContext,
  });
  const answer = await health.watch(() => client.send(command, { abortSignal: call.signal }));
  const ciphertext = toBase64(present(answer.CiphertextBlob));
  return jsonAnswer({ plaintext: taken(present(answer.Plaintext)), ciphertext, keyId: key.arn }, key.arn);
}

/** KMS GenerateRandom: no key, so the policies are asked about the enclave itself. */
async function random({ kms, health }: OperationsOptions, { numberOfBytes }: RandomRequest, call: Call) {
  call.authorize({ key: undefined, encryptionContext: {}, bytes: numberOfBytes });
  const client = kms.operations();
  const command = new GenerateRandomCommand({ NumberOfBytes: numberOfBytes });
  const answer = await health.watch(() => client.send(command, { abortSignal: call.signal }));
  return jsonAnswer({ random: taken(present(answer.Plaintext)) });
}

async function decryptMessage(decryption: Decryption, request: MessageDecryptRequest, call: Call) {
  const opened = await decryption.message(bytesOf(request.message), request.encryptionContext ?? {}, call);
  return jsonAnswer({ plaintext: taken(opened.plaintext), encryptionContext: opened.encryptionContext });
}

/** The same with bytes in and out; what would be in the JSON besides is in the field `encryption-context`, both ways. */
async function decryptStream(
  decryption: Decryption,
  body: AsyncIterable<Uint8Array>,
  { call, fields }: { readonly call: Call; readonly fields: RequestFields },
): Promise<RoutedAnswer> {
  const opening = await decryption.messageStream(body, parseContextField(fields.encryptionContext), call);
  return {
    contentType: STREAM_TYPE,
    body: opening.plaintext,
    keyArn: undefined,
    fields: { "encryption-context": toBase64(utf8(JSON.stringify(opening.encryptionContext))) },
  };
}

/** Base64 of a JSON object of strings; absent it is empty. */
function parseContextField(field: string | undefined): Readonly<Record<string, string>> {
  if (field === undefined) return {};
  const bytes = fromBase64(field);
  if (bytes === undefined) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "the field encryption-context: expected canonical base64 of JSON");
  }
  return parseJson(encryptionContext, decodeUtf8(bytes), "ERR_MESSAGE_MALFORMED");
}

/** Base64 of a secret, which is wiped. */
function taken(secret: Uint8Array): string {
  const text = toBase64(secret);
  wipe(secret);
  return text;
}

/** A field that KMS always sends. @throws ServiceError ERR_KMS_ANSWER when it did not. */
function present<T>(field: T | undefined): T {
  if (field === undefined)
    throw new ServiceError("ERR_KMS_ANSWER", "expected a field in the answer of KMS, it is absent");
  return field;
}
