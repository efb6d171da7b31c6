/**
 * Opens AWS Encryption SDK messages (message format 2, key commitment required) inside the enclave: the data key comes
 * from attested KMS Decrypt, the contents are authenticated with it. Messages carry what they are bound to: their
 * encryption context is authenticated with the contents and given to KMS, so neither the wrapped key nor the context can
 * be exchanged (PITFALLS 3, 5), and a forged data key does not open them (PITFALLS 1).
 *
 * Refused: suites without key commitment, more encrypted data keys than the configuration allows, messages for none of
 * the pinned keys, for none that the caller may use, and messages whose context lacks a pair that the caller expects or has
 * too many; all but the first before KMS is asked. KMS is asked for keys that the caller may use alone.
 */
import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { AwsEsdkKMSInterface, DecryptionRequest, NodeMaterialsManager } from "@aws-crypto/client-node";
import {
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
  NodeDefaultCryptographicMaterialsManager,
} from "@aws-crypto/client-node";
import type { KMSClient } from "@aws-sdk/client-kms";
import { DecryptCommand } from "@aws-sdk/client-kms";
import { copyBytes, wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import { MAX_CONTEXT_PAIRS } from "../../shared/wire.js";
import { kmsErrorOf } from "./kms-errors.js";
import type { PinnedKey, PinnedKeys } from "./pinned-keys.js";

export interface MessageOpenerOptions {
  /** An attested client. */
  readonly client: KMSClient;
  readonly keys: PinnedKeys;
  readonly maxEncryptedDataKeys: number;
}

export interface OpenMessageOptions {
  /** Pairs that the message's own context must have; it may have more. */
  readonly expectedContext: Readonly<Record<string, string>>;
  /**
   * Returns when the caller may use `key` for a message with this context, in which the pair that the SDK adds for a
   * signature is left out. @throws ServiceError otherwise.
   */
  readonly authorize: (key: PinnedKey, encryptionContext: Readonly<Record<string, string>>) => void;
  readonly signal?: AbortSignal;
}

export interface OpenedMessage {
  /** The caller's to wipe. */
  readonly plaintext: Uint8Array;
  /** The message's whole context, authenticated. */
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** A message whose header has been authenticated and whose contents come as they are. */
export interface OpeningMessage {
  readonly encryptionContext: Readonly<Record<string, string>>;
  /** Frame by frame, each authenticated. Only its end says that the whole message is; it throws a ServiceError otherwise. */
  readonly plaintext: AsyncIterable<Uint8Array>;
}

/** The provider id of KMS in encrypted data keys. */
const KMS_PROVIDER_ID = "aws-kms";
/** The pair that the SDK adds to the context of signed messages; no caller chose it. */
const SIGNATURE_PAIR = "aws-crypto-public-key";
/** Longest frame of a message that is opened as a stream: so much of it is in memory before it is authenticated. */
const MAX_FRAME_BYTES = 1024 * 1024;

/** Opens messages; the SDK keeps chunks of plaintext of its own, which only the garbage collector removes. */
export class MessageOpener {
  readonly #options: MessageOpenerOptions;
  readonly #sdk: ReturnType<typeof buildClient>;

  constructor(options: MessageOpenerOptions) {
    this.#options = options;
    this.#sdk = buildClient({
      commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
      maxEncryptedDataKeys: options.maxEncryptedDataKeys,
    });
  }

  /**
   * Opens one message. On return all of it has been authenticated.
   * @throws ServiceError ERR_MESSAGE_MALFORMED (no committed message), ERR_KMS_KEY (for none of the pinned keys),
   *   ERR_ENCRYPTION_CONTEXT, what `authorize` throws, those of an attested Decrypt (`attestKms`, `kmsErrorOf`),
   *   ERR_DECRYPTION_FAILED.
   */
  async open(message: Uint8Array, options: OpenMessageOptions): Promise<OpenedMessage> {
    const attempt = new Attempt(this.#options.client, options.signal);
    try {
      const { plaintext, messageHeader } = await this.#sdk.decrypt(this.#materials(attempt, options), message);
      const owned = copyBytes(plaintext);
      wipe(plaintext);
      return { plaintext: owned, encryptionContext: { ...messageHeader.encryptionContext } };
    } catch {
      throw attempt.failure(); // the SDK's texts name keys and internals: what happened was noted on the way
    }
  }

  /**
   * Begins to open a message of any size. On return its header has been authenticated; nothing more is read of `message`
   * than is taken of the plaintext, and a frame or so.
   * @throws ServiceError as `open`; so does the plaintext, which also refuses frames over 1 MiB (ERR_DECRYPTION_FAILED).
   */
  async openStream(message: AsyncIterable<Uint8Array>, options: OpenMessageOptions): Promise<OpeningMessage> {
    const attempt = new Attempt(this.#options.client, options.signal);
    const opening = this.#sdk.decryptStream(this.#materials(attempt, options), { maxBodySize: MAX_FRAME_BYTES });
    const plaintext = new PassThrough();
    const header = new Promise<{ readonly encryptionContext: Readonly<Record<string, string>> }>((resolve) => {
      opening.once("MessageHeader", resolve);
    });
    const signal = options.signal ? { signal: options.signal } : {};
    const source = Readable.from(inGrowingParts(watched(message, attempt), attempt), { objectMode: false });
    const done = pipeline(source, opening, plaintext, signal);
    done.catch(() => undefined); // `plaintext` is destroyed with the same error, and whoever reads it is told
    try {
      const { encryptionContext } = await Promise.race([header, done.then(ended)]);
      return { encryptionContext: { ...encryptionContext }, plaintext: parts(plaintext, attempt) };
    } catch {
      throw attempt.failure();
    }
  }

  #materials(attempt: Attempt, { expectedContext, authorize }: OpenMessageOptions): NodeMaterialsManager {
    const { keys } = this.#options;
    return {
      getEncryptionMaterials: encryptsNothing,
      decryptMaterials: async (header) => {
        attempt.headerParsed = true;
        const keyIds = attempt.noting(() => {
          const pinned = pinnedKeysOf(header, keys);
          assertContext(header, expectedContext);
          return usableKeys(pinned, header, authorize);
        });
        const keyring = new KmsKeyringNode({ clientProvider: () => attempt.kms, keyIds });
        return new NodeDefaultCryptographicMaterialsManager(keyring).decryptMaterials(header);
      },
    };
  }
}

const ended = (): never => {
  throw new Error("the message ended within its header");
};

/** `message`; a failure of whoever sends it is noted as what it is. */
async function* watched(message: AsyncIterable<Uint8Array>, attempt: Attempt): AsyncGenerator<Uint8Array> {
  try {
    yield* message;
  } catch (error) {
    attempt.refusal ??= error;
    throw error;
  }
}

/**
 * `message`, whose header is passed on in parts of which each is as large as all before it: with every part the SDK reads the
 * header anew from its beginning, and of one that drips in byte by byte it would read all of it for each byte.
 */
async function* inGrowingParts(message: AsyncIterable<Uint8Array>, attempt: Attempt): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let passedBytes = 0;
  for await (const part of message) {
    held.push(part);
    heldBytes += part.length;
    if (!attempt.headerParsed && heldBytes < passedBytes) continue;
    yield held.length === 1 ? part : Buffer.concat(held);
    passedBytes += heldBytes;
    held = [];
    heldBytes = 0;
  }
  if (held.length > 0) yield Buffer.concat(held);
}

async function* parts(plaintext: Readable, attempt: Attempt): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of plaintext) yield part;
  } catch {
    throw attempt.failure();
  }
}

/** What happened while one message was opened: the SDK joins all errors into one text. */
class Attempt {
  /** KMS as the keyring wants it. */
  readonly kms: AwsEsdkKMSInterface;
  headerParsed = false;
  refusal: unknown;

  constructor(client: KMSClient, signal: AbortSignal | undefined) {
    const options = signal ? { abortSignal: signal } : {};
    this.kms = {
      decrypt: async (request) => {
        try {
          return await client.send(new DecryptCommand(request), options);
        } catch (error) {
          this.refusal = kmsErrorOf(error);
          throw error;
        }
      },
      encrypt: encryptsNothing,
      generateDataKey: encryptsNothing,
    };
  }

  /** Runs a check; what it throws is why the attempt ends. */
  noting<T>(check: () => T): T {
    try {
      return check();
    } catch (error) {
      this.refusal = error;
      throw error;
    }
  }

  failure(): unknown {
    if (this.refusal !== undefined) return this.refusal;
    if (!this.headerParsed) {
      return new ServiceError("ERR_MESSAGE_MALFORMED", "expected an AWS Encryption SDK message with key commitment");
    }
    return new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed");
  }
}

const encryptsNothing = (): never => {
  throw new TypeError("MessageOpener: opens messages only");
};

/** The pinned keys under which the message's data key is encrypted. */
function pinnedKeysOf({ encryptedDataKeys }: DecryptionRequest, keys: PinnedKeys): PinnedKey[] {
  const arns = encryptedDataKeys
    .filter(({ providerId, providerInfo }) => providerId === KMS_PROVIDER_ID && keys.arns.includes(providerInfo))
    .map(({ providerInfo }) => providerInfo);
  if (arns.length === 0) throw new ServiceError("ERR_KMS_KEY", "expected a message for a key of the configuration");
  return [...new Set(arns)].map((arn) => keys.resolve(arn));
}

/** The ARNs of those keys that the caller may use; at least one. */
function usableKeys(
  pinned: readonly PinnedKey[],
  { encryptionContext }: DecryptionRequest,
  authorize: OpenMessageOptions["authorize"],
): string[] {
  const { [SIGNATURE_PAIR]: _, ...context } = encryptionContext;
  const refusals: unknown[] = [];
  const usable = pinned.filter((key) => {
    try {
      authorize(key, context);
      return true;
    } catch (error) {
      refusals.push(error);
      return false;
    }
  });
  if (usable.length === 0) throw refusals[0];
  return usable.map(({ arn }) => arn);
}

function assertContext({ encryptionContext }: DecryptionRequest, expected: Readonly<Record<string, string>>): void {
  const has = ([name, value]: [string, string]): boolean =>
    Object.hasOwn(encryptionContext, name) && encryptionContext[name] === value;
  if (Object.keys(encryptionContext).length > MAX_CONTEXT_PAIRS) {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", `expected a context of at most ${MAX_CONTEXT_PAIRS} pairs`);
  }
  if (Object.entries(expected).every(has)) return;
  throw new ServiceError("ERR_ENCRYPTION_CONTEXT", "expected every given pair in the message's encryption context");
}
