/**
 * The enclave's operations on KMS keys: the schemas of shared/wire.ts in, their answers out. Each asks for the key before
 * it uses it. They know nothing of HTTP or of the channel that carries them.
 */

import { GenerateDataKeyCommand, GenerateRandomCommand } from "@aws-sdk/client-kms";
import type { z } from "zod";
import { toBase64, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { DataKeyRequest, DecryptRequest, RandomRequest } from "../../shared/wire.js";
import {
  dataKeyRequest,
  decodeUtf8,
  decryptRequest,
  MAX_REQUEST_BYTES,
  parseJson,
  randomRequest,
} from "../../shared/wire.js";
import type { Decryption, DecryptionOptions } from "./decryption.js";
import type { Call, Operation } from "./guard.js";
import type { RoutedAnswer } from "./route.js";
import { jsonAnswer } from "./route.js";

export interface OperationsOptions extends Pick<DecryptionOptions, "kms" | "keys" | "health"> {
  readonly decryption: Decryption;
}

export interface JsonOperation<T> extends Pick<Operation, "resource" | "idempotent" | "maxBodyBytes"> {
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

/** Those on keys and random bytes. They throw, besides what shared/wire.ts refuses, the ServiceErrors of `Decryption`. */
export function createOperations(options: OperationsOptions): Operation[] {
  const { decryption } = options;
  const withKey = { resource: "Key", idempotent: true, maxBodyBytes: MAX_REQUEST_BYTES } as const;
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
  ];
}

async function decrypt(decryption: Decryption, request: DecryptRequest, call: Call): Promise<RoutedAnswer> {
  const { plaintext, keyArn } = await decryption.ciphertext(request, call);
  return jsonAnswer({ plaintext: taken(plaintext), keyId: keyArn }, keyArn);
}

const DATA_KEY_BYTES = { AES_128: 16, AES_256: 32 } as const;

/**
 * KMS GenerateDataKey. The answer names the key of the own Region, which opens it, whichever related key made it.
 * @throws ServiceError those of `Call.authorize` and of the call.
 */
async function dataKey({ kms, keys, health }: OperationsOptions, request: DataKeyRequest, call: Call) {
  const { keySpec: KeySpec, encryptionContext: context = {} } = request;
  const key = keys.resolve(request.keyId);
  call.authorize({ key, encryptionContext: context, bytes: DATA_KEY_BYTES[KeySpec] });
  const regional = kms.operations();
  const EncryptionContext = request.encryptionContext;
  const answer = await health.watch(() =>
    regional.call({ key, signal: call.signal }, ({ client, keyId: KeyId, abortSignal }) =>
      client.send(new GenerateDataKeyCommand({ KeyId, KeySpec, EncryptionContext }), { abortSignal }),
    ),
  );
  const ciphertext = toBase64(present(answer.CiphertextBlob));
  return jsonAnswer({ plaintext: taken(present(answer.Plaintext)), ciphertext, keyId: key.arn }, key.arn);
}

/** KMS GenerateRandom: no key, so the policies are asked about the enclave itself. */
async function random({ kms, health }: OperationsOptions, { numberOfBytes }: RandomRequest, call: Call) {
  call.authorize({ key: undefined, encryptionContext: {}, bytes: numberOfBytes });
  const regional = kms.operations();
  const answer = await health.watch(() =>
    regional.call({ key: undefined, signal: call.signal }, ({ client, abortSignal }) =>
      client.send(new GenerateRandomCommand({ NumberOfBytes: numberOfBytes }), { abortSignal }),
    ),
  );
  return jsonAnswer({ random: taken(present(answer.Plaintext)) });
}

/** Base64 of a secret, which is wiped. */
export function taken(secret: Uint8Array): string {
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
