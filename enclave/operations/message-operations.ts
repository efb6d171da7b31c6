/**
 * The operations on AWS Encryption SDK messages: open one, make one, and make one of what is in another, so that its
 * plaintext does not leave the enclave when keys change. Each of them takes whole messages in JSON, and on channels that
 * stream, messages of any size as bytes: what would be in the JSON besides is in fields then (`encryption-context`,
 * `message-options`), each base64 of JSON.
 */
import type { z } from "zod";
import { fromBase64, toBase64, utf8, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { MessageDecryptRequest, MessageEncryptRequest, MessageReEncryptRequest } from "../../shared/wire.js";
import {
  bytesOf,
  decodeUtf8,
  encryptionContext,
  MAX_MESSAGE_BYTES,
  MAX_MESSAGE_REQUEST_BYTES,
  messageDecryptRequest,
  messageEncryptRequest,
  messageOptions,
  messageReEncryptRequest,
  parseJson,
} from "../../shared/wire.js";
import type { MadeMessage } from "../messages/messages.js";
import { chosenContext } from "../messages/rules.js";
import type { Decryption } from "./decryption.js";
import type { Encryption } from "./encryption.js";
import type { Call, Operation } from "./guard.js";
import { STREAM_TYPE } from "./guard.js";
import { jsonOperation, taken } from "./operations.js";
import type { RequestFields, RoutedAnswer } from "./route.js";
import { jsonAnswer } from "./route.js";

export interface MessageOperationsOptions {
  readonly decryption: Decryption;
  readonly encryption: Encryption;
}

type Body = AsyncIterable<Uint8Array>;

/** All of them. They throw, besides what shared/wire.ts refuses, the ServiceErrors of `Decryption` and `Encryption`. */
export function messageOperations(options: MessageOperationsOptions): Operation[] {
  const ofKey = { resource: "Key", idempotent: true, maxBodyBytes: MAX_MESSAGE_REQUEST_BYTES } as const;
  return [
    {
      ...jsonOperation("messages/decrypt", {
        ...ofKey,
        schema: messageDecryptRequest,
        run: (request, call) => decrypt(options, request, call),
      }),
      runStream: (body, call, fields) => decryptStream(options, { body, call, fields }),
    },
    {
      ...jsonOperation("messages/encrypt", {
        ...ofKey,
        schema: messageEncryptRequest,
        run: (request, call) => encrypt(options, request, call),
      }),
      runStream: (body, call, fields) => encryptStream(options, { body, call, fields }),
    },
    {
      ...jsonOperation("messages/re-encrypt", {
        ...ofKey,
        schema: messageReEncryptRequest,
        run: (request, call) => reEncrypt(options, request, call),
      }),
      runStream: (body, call, fields) => reEncryptStream(options, { body, call, fields }),
    },
  ];
}

async function decrypt({ decryption }: MessageOperationsOptions, request: MessageDecryptRequest, call: Call) {
  const opened = await decryption.message(bytesOf(request.message), request.encryptionContext ?? {}, call);
  return jsonAnswer({ plaintext: taken(opened.plaintext), encryptionContext: opened.encryptionContext });
}

async function encrypt({ encryption }: MessageOperationsOptions, request: MessageEncryptRequest, call: Call) {
  const { plaintext, encryptionContext = {}, ...rest } = request;
  const secret = bytesOf(plaintext);
  try {
    return madeAnswer(await encryption.message(secret, { ...rest, encryptionContext }, call));
  } finally {
    wipe(secret);
  }
}

async function reEncrypt(options: MessageOperationsOptions, request: MessageReEncryptRequest, call: Call) {
  const { decryption, encryption } = options;
  const { message, encryptionContext: expected = {}, ...rest } = request;
  const opened = await decryption.message(bytesOf(message), expected, encryption.opening(rest, call));
  try {
    const wanted = { ...rest, encryptionContext: chosenContext(opened.encryptionContext) };
    return madeAnswer(await encryption.message(opened.plaintext, wanted, call));
  } finally {
    wipe(opened.plaintext);
  }
}

/** @throws ServiceError ERR_MESSAGE_TOO_LARGE: it could not be opened in the same way again. */
function madeAnswer({ message, encryptionContext }: MadeMessage): RoutedAnswer {
  if (message.length > MAX_MESSAGE_BYTES) {
    throw new ServiceError("ERR_MESSAGE_TOO_LARGE", `the message would have more than ${MAX_MESSAGE_BYTES} bytes`);
  }
  return jsonAnswer({ message: toBase64(message), encryptionContext });
}

interface StreamRequest {
  readonly body: Body;
  readonly call: Call;
  readonly fields: RequestFields;
}

async function decryptStream({ decryption }: MessageOperationsOptions, { body, call, fields }: StreamRequest) {
  const opening = await decryption.messageStream(body, contextOf(fields), call);
  return streamAnswer(opening.plaintext, opening.encryptionContext);
}

async function encryptStream({ encryption }: MessageOperationsOptions, { body, call, fields }: StreamRequest) {
  const wanted = { ...optionsOf(fields), encryptionContext: contextOf(fields) };
  const making = await encryption.messageStream(body, wanted, call);
  return streamAnswer(making.message, making.encryptionContext);
}

async function reEncryptStream(
  { decryption, encryption }: MessageOperationsOptions,
  { body, call, fields }: StreamRequest,
) {
  const options = optionsOf(fields);
  const opening = await decryption.messageStream(body, contextOf(fields), encryption.opening(options, call));
  const wanted = { ...options, encryptionContext: chosenContext(opening.encryptionContext) };
  const making = await encryption.messageStream(opening.plaintext, wanted, call);
  return streamAnswer(making.message, making.encryptionContext);
}

const streamAnswer = (body: Body, context: Readonly<Record<string, string>>): RoutedAnswer => ({
  contentType: STREAM_TYPE,
  body,
  keyArn: undefined,
  fields: { "encryption-context": toBase64(utf8(JSON.stringify(context))) },
});

const contextOf = (fields: RequestFields): Readonly<Record<string, string>> =>
  parseField("encryption-context", fields.encryptionContext, encryptionContext) ?? {};
const optionsOf = (fields: RequestFields): z.infer<typeof messageOptions> =>
  parseField("message-options", fields.messageOptions, messageOptions) ?? {};

/** Base64 of JSON; undefined where the field is absent. */
function parseField<T>(name: string, field: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (field === undefined) return undefined;
  const bytes = fromBase64(field);
  if (bytes === undefined) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", `the field ${name}: expected canonical base64 of JSON`);
  }
  return parseJson(schema, decodeUtf8(bytes), "ERR_MESSAGE_MALFORMED");
}
