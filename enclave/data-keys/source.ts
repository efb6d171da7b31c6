/**
 * Where the data keys of messages come from: from KMS for every message (kms-data-keys.ts), through a cache of data keys
 * (cached-data-keys.ts), or from the branch key of a tenant (branch-data-keys.ts). Which of them, the configuration says.
 *
 * None of them decides who may use a key: that has been decided, for each message anew, before one of them is asked.
 */
import type {
  AwsEsdkKMSInterface,
  DecryptionRequest,
  EncryptedDataKey,
  EncryptionRequest,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import type { PinnedKey } from "../kms/pinned-keys.js";

/** The three operations of KMS that data keys need, attested, for one request. They throw what `kmsErrorOf` makes of a failure. */
export type DataKeyKms = AwsEsdkKMSInterface;

/** What one message may use. */
export interface DataKeyUse {
  /** The keys that the caller may use for it. For a new message the first generates the data key. */
  readonly keys: readonly PinnedKey[];
  /** Whose keys these are: tenant and caller, as far as policies tell them apart. What is kept for one is used for no other. */
  readonly partition: string;
  /** KMS for this request. */
  readonly kms: DataKeyKms;
  /** Fires when nobody waits for the message any more. */
  readonly signal?: AbortSignal | undefined;
}

export interface DataKeySource {
  /**
   * The key of the configuration that opens `encryptedDataKey`, or undefined where none does.
   * @throws ServiceError ERR_ENCRYPTION_CONTEXT where it belongs to another context than the message has.
   */
  keyOf(encryptedDataKey: EncryptedDataKey, encryptionContext: Readonly<Record<string, string>>): PinnedKey | undefined;
  /** The data key of a message that exists. @throws ServiceError of the KMS call; an Error where no data key opens. */
  decryptMaterials(request: DecryptionRequest, use: DataKeyUse): Promise<NodeDecryptionMaterial>;
  /** A data key for a new message. @throws ServiceError of the KMS call. */
  encryptMaterials(request: EncryptionRequest, use: DataKeyUse): Promise<NodeEncryptionMaterial>;
  /** Overwrites every key that is kept. */
  wipe(): void;
}
