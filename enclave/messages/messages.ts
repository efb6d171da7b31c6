/**
 * AWS Encryption SDK messages (message format 2, key commitment required) opened and made inside the enclave. Messages carry
 * what they are bound to: their encryption context is authenticated with the contents and given to KMS, so neither the wrapped
 * key nor the context can be exchanged (PITFALLS 3, 5), and a forged data key does not open them (PITFALLS 1).
 *
 * Refused: suites without key commitment, more encrypted data keys than the configuration allows, messages for none of
 * the keys of the configuration, for none that the caller may use, and messages whose context lacks a pair that is demanded or has
 * too many; all but the first before a key is fetched or taken from a cache. KMS is asked for keys that the caller may use alone.
 */
import { createHash } from "node:crypto";
import type { DecryptionRequest, EncryptionContext, NodeMaterialsManager } from "@aws-crypto/client-node";
import { buildClient, CommitmentPolicy } from "@aws-crypto/client-node";
import { copyBytes, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { DataKeyKms, DataKeySource, DataKeyUse } from "../data-keys/source.js";
import type { PinnedKey } from "../kms/pinned-keys.js";
import { Attempt } from "./attempt.js";
import { made } from "./making.js";
import { MessageEnd, toItsEnd } from "./message-end.js";
import type { Authorize } from "./rules.js";
import { assertContext, assertFewPairs, assertNewContext, keysOf, usableKeys } from "./rules.js";
import { inGrowingParts, opened, watched } from "./streams.js";

export interface MessagesOptions {
  readonly dataKeys: DataKeySource;
  /** Attested KMS for one request, which is given up when the signal fires. */
  readonly kms: (signal: AbortSignal | undefined) => DataKeyKms;
  readonly maxEncryptedDataKeys: number;
  /** Names of pairs that every context must have. */
  readonly requiredPairs: readonly string[];
  /** The pair whose value is the tenant. */
  readonly tenantPair: string;
}

/** On whose behalf a message is opened or made. */
export interface MessageCaller {
  /** Returns when the caller may use a key for a message with a context, in which the SDK's own pair is left out. */
  readonly authorize: Authorize;
  /** Alike for callers whom the policies do not tell apart, and for no others. */
  readonly principalClass: string;
  readonly signal?: AbortSignal | undefined;
}

export interface OpenMessageOptions extends MessageCaller {
  /** Pairs that the message's own context must have; it may have more. */
  readonly expectedContext: EncryptionContext;
}

export interface MakeMessageOptions extends MessageCaller {
  /** The keys that are to open it, at least one; the first makes the data key. */
  readonly keys: readonly PinnedKey[];
  readonly encryptionContext: EncryptionContext;
  /** Whether it is signed with a key of its own, ECDSA P-384: then those who can open it cannot have made it up. */
  readonly signed: boolean;
}

export interface OpenedMessage {
  /** The caller's to wipe. */
  readonly plaintext: Uint8Array;
  /** The message's whole context, authenticated. */
  readonly encryptionContext: EncryptionContext;
}

/** A message whose header has been authenticated and whose contents come as they are. */
export interface OpeningMessage {
  readonly encryptionContext: EncryptionContext;
  /** Frame by frame, each authenticated. Only its end says that the whole message is; it throws a ServiceError otherwise. */
  readonly plaintext: AsyncIterable<Uint8Array>;
}

export interface MadeMessage {
  readonly message: Uint8Array;
  /** The message's whole context. */
  readonly encryptionContext: EncryptionContext;
}

/** A message that is being made, while its plaintext comes. */
export interface MakingMessage {
  readonly encryptionContext: EncryptionContext;
  /** Only its end says that it is whole; it throws a ServiceError otherwise. */
  readonly message: AsyncIterable<Uint8Array>;
}

/** Longest frame of a message that is opened as a stream: so much of it is in memory before it is authenticated. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** The suites with key commitment (Encryption SDK, algorithms reference). */
const SUITE = { unsigned: 0x0478, signed: 0x0578 } as const;

/** Opens and makes messages; the SDK keeps chunks of plaintext of its own, which only the garbage collector removes. */
export class Messages {
  readonly #options: MessagesOptions;
  readonly #sdk: ReturnType<typeof buildClient>;

  constructor(options: MessagesOptions) {
    this.#options = options;
    this.#sdk = buildClient({
      commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
      maxEncryptedDataKeys: options.maxEncryptedDataKeys,
    });
  }

  /**
   * Opens one message. On return all of it has been authenticated.
   * @throws ServiceError ERR_MESSAGE_MALFORMED (no committed message, or more than one), ERR_KMS_KEY (for none of the configuration's keys),
   *   ERR_ENCRYPTION_CONTEXT, what `authorize` throws, those of an attested Decrypt (`attestKms`, `kmsErrorOf`),
   *   ERR_DECRYPTION_FAILED.
   */
  async open(message: Uint8Array, options: OpenMessageOptions): Promise<OpenedMessage> {
    const attempt = new Attempt(this.#options.kms(options.signal));
    try {
      attempt.noting(() => new MessageEnd().take(message));
      const { plaintext, messageHeader } = await this.#sdk.decrypt(this.#opening(attempt, options), message);
      const owned = copyBytes(plaintext);
      wipe(plaintext);
      return { plaintext: owned, encryptionContext: { ...messageHeader.encryptionContext } };
    } catch {
      throw attempt.openingFailure();
    }
  }

  /**
   * Begins to open a message of any size. On return its header has been authenticated; nothing more is read of `message`
   * than is taken of the plaintext, and a frame or so.
   * @throws ServiceError as `open`, and ERR_MESSAGE_TOO_LARGE for frames over 1 MiB; so does the plaintext.
   */
  async openStream(message: AsyncIterable<Uint8Array>, options: OpenMessageOptions): Promise<OpeningMessage> {
    const attempt = new Attempt(this.#options.kms(options.signal));
    const opening = this.#sdk.decryptStream(this.#opening(attempt, options), { maxBodySize: MAX_FRAME_BYTES });
    const failure = (): unknown => attempt.openingFailure();
    const source = inGrowingParts(watched(toItsEnd(message, MAX_FRAME_BYTES), attempt), attempt);
    const { encryptionContext, output } = await opened(source, opening, { failure, signal: options.signal });
    return { encryptionContext, plaintext: output };
  }

  /**
   * Makes one message.
   * @throws ServiceError ERR_MESSAGE_MALFORMED (the context cannot be one), ERR_ENCRYPTION_CONTEXT (it lacks a required pair),
   *   ERR_KMS_KEY (too many keys), what `authorize` throws, those of an attested GenerateDataKey.
   */
  async make(plaintext: Uint8Array, options: MakeMessageOptions): Promise<MadeMessage> {
    this.#assertMakeable(options);
    const attempt = new Attempt(this.#options.kms(options.signal));
    try {
      const settings = settingsOf(options);
      const { result, messageHeader } = await this.#sdk.encrypt(this.#making(attempt, options), plaintext, settings);
      return { message: result, encryptionContext: { ...messageHeader.encryptionContext } };
    } catch (error) {
      throw attempt.makingFailure(error);
    }
  }

  /** Begins to make a message of any size. @throws ServiceError as `make`; so does the message. */
  async makeStream(plaintext: AsyncIterable<Uint8Array>, options: MakeMessageOptions): Promise<MakingMessage> {
    this.#assertMakeable(options);
    const attempt = new Attempt(this.#options.kms(options.signal));
    const making = this.#sdk.encryptStream(this.#making(attempt, options), {
      ...settingsOf(options),
      frameLength: STREAM_FRAME_BYTES,
    });
    const failure = (error: unknown): unknown => attempt.makingFailure(error);
    const { encryptionContext, output } = await made(watched(plaintext, attempt), making, {
      failure,
      signal: options.signal,
    });
    return { encryptionContext, message: output };
  }

  #opening(attempt: Attempt, options: OpenMessageOptions): NodeMaterialsManager {
    return {
      getEncryptionMaterials: noSuchUse,
      decryptMaterials: async (request) => {
        attempt.headerParsed = true;
        const keys = attempt.noting(() => this.#usableKeys(request, options));
        const use = this.#use(attempt, options, { keys, encryptionContext: request.encryptionContext });
        return attempt.within(() => this.#options.dataKeys.decryptMaterials(request, use));
      },
    };
  }

  #usableKeys(request: DecryptionRequest, { expectedContext, authorize }: OpenMessageOptions): PinnedKey[] {
    const { dataKeys, requiredPairs } = this.#options;
    const { encryptionContext } = request;
    assertFewPairs(encryptionContext);
    const keys = keysOf(request, dataKeys);
    assertContext(encryptionContext, { expected: expectedContext, required: requiredPairs });
    return usableKeys(keys, encryptionContext, authorize);
  }

  #making(attempt: Attempt, options: MakeMessageOptions): NodeMaterialsManager {
    const use = this.#use(attempt, options, options);
    return {
      getEncryptionMaterials: (request) => attempt.within(() => this.#options.dataKeys.encryptMaterials(request, use)),
      decryptMaterials: noSuchUse,
    };
  }

  #use(
    { kms }: Attempt,
    { principalClass, signal }: MessageCaller,
    { keys, encryptionContext }: Pick<MakeMessageOptions, "keys" | "encryptionContext">,
  ): DataKeyUse {
    const tenant = encryptionContext[this.#options.tenantPair] ?? null;
    const parts = JSON.stringify([tenant, principalClass, keys.map(({ arn }) => arn)]);
    return { keys, kms, signal, partition: createHash("sha256").update(parts).digest("base64") };
  }

  /** @throws ServiceError ERR_KMS_KEY when a message for `keys` could not be opened here: it would have too many. */
  assertFewKeys(keys: readonly PinnedKey[]): void {
    const { maxEncryptedDataKeys } = this.#options;
    if (keys.length <= maxEncryptedDataKeys) return;
    throw new ServiceError("ERR_KMS_KEY", `expected at most ${maxEncryptedDataKeys} keys for one message`);
  }

  #assertMakeable({ keys, encryptionContext, authorize }: MakeMessageOptions): void {
    assertNewContext(encryptionContext);
    assertContext(encryptionContext, { expected: {}, required: this.#options.requiredPairs });
    this.assertFewKeys(keys);
    for (const key of keys) authorize(key, encryptionContext);
  }
}

const noSuchUse = (): never => {
  throw new TypeError("Messages: asked for the other kind of materials");
};

/** Frames of 4096 bytes are the format's default; a stream of any size is better off with fewer. */
const STREAM_FRAME_BYTES = 64 * 1024;

const settingsOf = ({ encryptionContext, signed }: MakeMessageOptions) => ({
  encryptionContext,
  suiteId: signed ? SUITE.signed : SUITE.unsigned,
});
