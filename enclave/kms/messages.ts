/**
 * Opens AWS Encryption SDK messages (message format 2, key commitment required) inside the enclave: the data key comes
 * from attested KMS Decrypt, the contents are authenticated with it. Messages carry what they are bound to: their
 * encryption context is authenticated with the contents and given to KMS, so neither the wrapped key nor the context can
 * be exchanged (PITFALLS 3, 5), and a forged data key does not open them (PITFALLS 1).
 *
 * Refused: suites without key commitment, more encrypted data keys than the configuration allows, messages for none of
 * the pinned keys, and messages whose context lacks a pair that the caller expects; the last two before KMS is asked.
 */
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
import { kmsErrorOf } from "./kms-errors.js";
import type { PinnedKeys } from "./pinned-keys.js";

export interface MessageOpenerOptions {
  /** An attested client. */
  readonly client: KMSClient;
  readonly keys: PinnedKeys;
  readonly maxEncryptedDataKeys: number;
}

export interface OpenMessageOptions {
  /** Pairs that the message's own context must have; it may have more. */
  readonly expectedContext: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface OpenedMessage {
  /** The caller's to wipe. */
  readonly plaintext: Uint8Array;
  /** The message's whole context, authenticated. */
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** The provider id of KMS in encrypted data keys. */
const KMS_PROVIDER_ID = "aws-kms";

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
   *   ERR_ENCRYPTION_CONTEXT, those of an attested Decrypt (`attestKms`, `kmsErrorOf`), ERR_DECRYPTION_FAILED.
   */
  async open(message: Uint8Array, { expectedContext, signal }: OpenMessageOptions): Promise<OpenedMessage> {
    const { client, keys } = this.#options;
    const attempt = new Attempt(client, signal);
    const keyring = new KmsKeyringNode({ clientProvider: () => attempt.kms, keyIds: [...keys.arns] });
    const materials = checkedMaterials(new NodeDefaultCryptographicMaterialsManager(keyring), attempt, (header) => {
      assertPinned(header, keys);
      assertContext(header, expectedContext);
    });
    try {
      const { plaintext, messageHeader } = await this.#sdk.decrypt(materials, message);
      const owned = copyBytes(plaintext);
      wipe(plaintext);
      return { plaintext: owned, encryptionContext: { ...messageHeader.encryptionContext } };
    } catch {
      throw attempt.failure(); // the SDK's texts name keys and internals: what happened was noted on the way
    }
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

/** `inner`, asked only for messages whose header passes `check`. */
function checkedMaterials(
  inner: NodeMaterialsManager,
  attempt: Attempt,
  check: (header: DecryptionRequest) => void,
): NodeMaterialsManager {
  return {
    getEncryptionMaterials: encryptsNothing,
    decryptMaterials: async (header) => {
      attempt.headerParsed = true;
      try {
        check(header);
      } catch (error) {
        attempt.refusal = error;
        throw error;
      }
      return inner.decryptMaterials(header);
    },
  };
}

function assertPinned({ encryptedDataKeys }: DecryptionRequest, keys: PinnedKeys): void {
  const isOurs = encryptedDataKeys.some(
    ({ providerId, providerInfo }) => providerId === KMS_PROVIDER_ID && keys.arns.includes(providerInfo),
  );
  if (!isOurs) throw new ServiceError("ERR_KMS_KEY", "expected a message for a key of the configuration");
}

function assertContext({ encryptionContext }: DecryptionRequest, expected: Readonly<Record<string, string>>): void {
  const has = ([name, value]: [string, string]): boolean =>
    Object.hasOwn(encryptionContext, name) && encryptionContext[name] === value;
  if (Object.entries(expected).every(has)) return;
  throw new ServiceError("ERR_ENCRYPTION_CONTEXT", "expected every given pair in the message's encryption context");
}
