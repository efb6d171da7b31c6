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

  /** The keys that `keyIds` mean, each once. @throws ServiceError ERR_KMS_KEY, ERR_MESSAGE_MALFORMED. */
  keysOf(keyIds: readonly string[] | undefined): PinnedKey[] {
    const { keys } = this.#options;
    if (keyIds === undefined) return [keys.resolveOrOnly(undefined)];
    return [...new Set(keyIds.map((keyId) => keys.resolve(keyId)))];
  }

  #optionsOf(bytes: number, { keyIds, encryptionContext, signed = true }: NewMessage, call: Call): MakeMessageOptions {
    const { authorize, principalClass, signal } = call;
    return {
      ...{ encryptionContext, signed, principalClass, signal },
      keys: this.keysOf(keyIds),
      authorize: (key, context) => authorize({ key, encryptionContext: context, bytes }),
    };
  }
}
