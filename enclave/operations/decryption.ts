/**
 * Plaintext, for the operations and functions that need one: from a KMS ciphertext or an AWS Encryption SDK message, once
 * the policies have permitted its key. The bytes are the caller's to wipe.
 */
import { DecryptCommand } from "@aws-sdk/client-kms";
import { ServiceError } from "../../shared/errors.js";
import type { DecryptRequest } from "../../shared/wire.js";
import { bytesOf } from "../../shared/wire.js";
import type { KmsHealth } from "../health.js";
import type { KmsClients } from "../kms/kms-clients.js";
import type { PinnedKeys } from "../kms/pinned-keys.js";
import type { Messages, OpenedMessage, OpeningMessage } from "../messages/messages.js";
import type { Call } from "./guard.js";

type EncryptionContext = Readonly<Record<string, string>>;

export interface DecryptionOptions {
  readonly kms: Pick<KmsClients, "operations">;
  readonly messages: Messages;
  readonly keys: PinnedKeys;
  readonly health: KmsHealth;
}

/** What KMS decrypted. */
export interface Decrypted {
  readonly plaintext: Uint8Array;
  readonly keyArn: string;
}

/** A stream tells its size only at its end: for policies that look at the size it is larger than any. */
export const UNKNOWN_SIZE = Number.MAX_SAFE_INTEGER;

/** Each method throws, besides what it names, the ServiceErrors of `Call.authorize`, `attestKms` and `kmsErrorOf`. */
export class Decryption {
  readonly #options: DecryptionOptions;

  constructor(options: DecryptionOptions) {
    this.#options = options;
  }

  /**
   * KMS Decrypt, with the key that was authorised, or its related key in another Region, and no other.
   * @throws ServiceError ERR_GATEWAY_REFUSED, ERR_KMS_KEY, ERR_MESSAGE_MALFORMED.
   */
  async ciphertext(request: DecryptRequest, call: Call): Promise<Decrypted> {
    const { kms, keys, health } = this.#options;
    const { encryptionContext = {}, encryptionAlgorithm } = request;
    const key = keys.resolveOrOnly(request.keyId);
    const CiphertextBlob = bytesOf(request.ciphertext);
    call.authorize({ key, encryptionContext, bytes: CiphertextBlob.length });
    const regional = kms.operations();
    const input = {
      CiphertextBlob,
      EncryptionContext: request.encryptionContext,
      EncryptionAlgorithm: encryptionAlgorithm,
    };
    const { Plaintext } = await health.watch(() =>
      regional.call({ key, signal: call.signal }, ({ client, keyId: KeyId, abortSignal }) =>
        client.send(new DecryptCommand({ ...input, KeyId }), { abortSignal }),
      ),
    );
    if (Plaintext === undefined) throw new ServiceError("ERR_KMS_ANSWER", "expected a plaintext, KMS sent none");
    return { plaintext: Plaintext, keyArn: key.arn };
  }

  /** A whole message. @throws ServiceError as `Messages.open`. */
  message(message: Uint8Array, expectedContext: EncryptionContext, call: Call): Promise<OpenedMessage> {
    const options = this.#optionsOf(message.length, expectedContext, call);
    return this.#options.messages.open(message, options);
  }

  /** A message of any size. @throws ServiceError as `Messages.openStream`. */
  messageStream(
    message: AsyncIterable<Uint8Array>,
    expectedContext: EncryptionContext,
    call: Call,
  ): Promise<OpeningMessage> {
    const options = this.#optionsOf(UNKNOWN_SIZE, expectedContext, call);
    return this.#options.messages.openStream(message, options);
  }

  #optionsOf(bytes: number, expectedContext: EncryptionContext, { authorize, principalClass, signal }: Call) {
    const ask = (key: Parameters<typeof authorize>[0]["key"], encryptionContext: EncryptionContext): void =>
      authorize({ key, encryptionContext, bytes });
    return { expectedContext, principalClass, signal, authorize: ask };
  }
}
