/** New AWS Encryption SDK messages, for the operations and functions that make them, once the policies have permitted each key. */
import type { MessageOptions } from "../../shared/wire.js";
import type { PinnedKey, PinnedKeys } from "../kms/pinned-keys.js";
import type { MadeMessage, MakeMessageOptions, MakingMessage, Messages } from "../messages/messages.js";
import { UNKNOWN_SIZE } from "./decryption.js";
import type { Call } from "./guard.js";

type EncryptionContext = Readonly<Record<string, string>>;

export interface EncryptionOptions {
  readonly messages: Messages;
  readonly keys: PinnedKeys;
}

/** What a new message is to be like. */
export interface NewMessage extends MessageOptions {
  readonly encryptionContext: EncryptionContext;
}

/** Each method throws the ServiceErrors of `Call.authorize` and `Messages.make`; ERR_KMS_KEY, ERR_MESSAGE_MALFORMED for the names of keys. */
export class Encryption {
  readonly #options: EncryptionOptions;

  constructor(options: EncryptionOptions) {
    this.#options = options;
  }

  /** Makes a message of `plaintext`, which stays the caller's to wipe. */
  message(plaintext: Uint8Array, wanted: NewMessage, call: Call): Promise<MadeMessage> {
    return this.#options.messages.make(plaintext, this.#optionsOf(plaintext.length, wanted, call));
  }

  /** Makes a message of any size. */
  messageStream(plaintext: AsyncIterable<Uint8Array>, wanted: NewMessage, call: Call): Promise<MakingMessage> {
    return this.#options.messages.makeStream(plaintext, this.#optionsOf(UNKNOWN_SIZE, wanted, call));
  }

  /**
   * `call`, for opening what a message is then made of: it is asked whether the caller may use the new keys as well, so that
   * nothing is opened for one that is not made. @throws ServiceError ERR_KMS_KEY, ERR_MESSAGE_MALFORMED.
   */
  opening({ keyIds }: MessageOptions, call: Call): Call {
    const keys = this.#keysOf(keyIds);
    return {
      ...call,
      authorize: (intent) => {
        call.authorize(intent);
        for (const key of keys) call.authorize({ ...intent, key });
      },
    };
  }

  /** The keys that `keyIds` mean, each once. */
  #keysOf(keyIds: readonly string[] | undefined): PinnedKey[] {
    const { keys, messages } = this.#options;
    const meant = keyIds?.map((keyId) => keys.resolve(keyId)) ?? [keys.resolveOrOnly(undefined)];
    const once = [...new Set(meant)];
    messages.assertFewKeys(once);
    return once;
  }

  #optionsOf(bytes: number, { keyIds, encryptionContext, signed = true }: NewMessage, call: Call): MakeMessageOptions {
    const { authorize, principalClass, signal } = call;
    return {
      ...{ encryptionContext, signed, principalClass, signal },
      keys: this.#keysOf(keyIds),
      authorize: (key, context) => authorize({ key, encryptionContext: context, bytes }),
    };
  }
}
