/**
 * Data keys that are wrapped under the branch key of their message's tenant, in the format of the official hierarchical
 * keyring (AWS Encryption SDK specification, framework/aws-kms/aws-kms-hierarchical-keyring.md). Which branch key that is
 * follows from the message's encryption context alone, the one that the caller was authorised for. Messages whose data keys
 * are under KMS keys themselves still open: they are left to another source.
 *
 * Refused: contexts without a tenant, encrypted data keys that name another branch key than the tenant's (a message of
 * another tenant, or one that was put together, PITFALLS 3), and further KMS keys for a new message. Over the transport
 * *gateway* there is none of this (configuration.ts): whoever carries its answers could have the enclave encrypt under a
 * branch key of his own (PITFALLS 1).
 */
import type {
  DecryptionRequest,
  EncryptedDataKey,
  EncryptionContext,
  EncryptionRequest,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import { NodeDefaultCryptographicMaterialsManager } from "@aws-crypto/client-node";
import { toHex } from "../../../shared/bytes.js";
import { ServiceError } from "../../../shared/errors.js";
import type { Clock } from "../../clock.js";
import type { PinnedKey } from "../../kms/pinned-keys.js";
import type { DataKeySource, DataKeyUse } from "../source.js";
import { isBranchKeyVersion } from "./branch-key-record.js";
import type { BranchKeyStorage } from "./branch-key-storage.js";
import type { Keyrings } from "./branch-keyring.js";
import { createKeyrings, HIERARCHY_PROVIDER_ID } from "./branch-keyring.js";
import type { BranchKeyLimits } from "./branch-keys.js";
import { BranchKeys } from "./branch-keys.js";

export interface BranchDataKeysOptions {
  /** The KMS key under which branch keys are encrypted. */
  readonly key: PinnedKey;
  /** Whether the key ARN in a record is that key's, or of one that stands for it. */
  readonly isKmsKey: (arn: string) => boolean;
  /** Bound to every branch key; need not be the table's name. */
  readonly logicalKeyStoreName: string;
  /** The pair whose value is the tenant, and the branch key's id. */
  readonly tenantPair: string;
  readonly storage: BranchKeyStorage;
  /** Opens messages that are under KMS keys. */
  readonly source: DataKeySource;
  readonly clock: Clock;
  readonly limits: BranchKeyLimits;
}

/** salt 16 ‖ IV 12 ‖ version 16 ‖ data key 32 ‖ tag 16: all suites with key commitment have data keys of 32 bytes. */
const WRAPPED_BYTES = 92;
const VERSION_BEGIN = 28;
const VERSION_END = 44;
/** DynamoDB's limit for a partition key is 2048 bytes; nobody's tenants need a quarter of it. */
const MAX_ID_LENGTH = 512;

export class BranchDataKeys implements DataKeySource {
  readonly #options: BranchDataKeysOptions;
  readonly #branchKeys: BranchKeys;
  readonly #keyrings: Keyrings;

  constructor(options: BranchDataKeysOptions) {
    const { key, logicalKeyStoreName } = options;
    this.#options = options;
    this.#branchKeys = new BranchKeys({ ...options, keyArn: key.arn });
    this.#keyrings = createKeyrings({ logicalName: logicalKeyStoreName, kmsArn: key.arn });
  }

  /** Branch keys in memory. */
  get held(): number {
    return this.#branchKeys.held;
  }

  keyOf(edk: EncryptedDataKey, encryptionContext: EncryptionContext): PinnedKey | undefined {
    if (!isWrapped(edk)) return this.#options.source.keyOf(edk, encryptionContext);
    if (edk.providerInfo === this.#branchKeyIdOf(encryptionContext)) return this.#options.key;
    throw new ServiceError(
      "ERR_ENCRYPTION_CONTEXT",
      "expected a message for its tenant's branch key, it names another",
    );
  }

  /**
   * Those data keys that are under a branch key are tried first.
   * @throws ServiceError ERR_ENCRYPTION_CONTEXT (no tenant, or a branch key of another), ERR_MESSAGE_MALFORMED (no data key of
   *   the format), ERR_DECRYPTION_FAILED, those of `BranchKeys.borrow`; what the other source throws.
   */
  async decryptMaterials(request: DecryptionRequest, use: DataKeyUse): Promise<NodeDecryptionMaterial> {
    const { key, source } = this.#options;
    const { encryptedDataKeys, encryptionContext } = request;
    const wrapped = encryptedDataKeys.filter((edk) => this.keyOf(edk, encryptionContext) === key && isWrapped(edk));
    const others = encryptedDataKeys.filter((edk) => !isWrapped(edk) && source.keyOf(edk, encryptionContext));
    const refusals: unknown[] = [];
    for (const edk of use.keys.includes(key) ? wrapped : []) {
      try {
        return await this.#unwrap(edk, request, use);
      } catch (error) {
        refusals.push(error);
      }
    }
    if (refusals.length > 0 && others.length === 0) throw refusals[0];
    return source.decryptMaterials(request, use);
  }

  /** @throws ServiceError ERR_KMS_KEY (other keys in `use.keys`), ERR_ENCRYPTION_CONTEXT, those of `BranchKeys.borrow` */
  async encryptMaterials(request: EncryptionRequest, use: DataKeyUse): Promise<NodeEncryptionMaterial> {
    if (use.keys.length !== 1 || use.keys[0] !== this.#options.key) {
      throw new ServiceError("ERR_KMS_KEY", "expected a new message for the key of the branch keys, and for it alone");
    }
    const branchKeyId = this.#branchKeyIdOf(request.encryptionContext);
    const branchKey = await this.#branchKeys.borrow({ branchKeyId }, use);
    try {
      const keyring = this.#keyrings.over(branchKey, use.partition);
      return await new NodeDefaultCryptographicMaterialsManager(keyring).getEncryptionMaterials(request);
    } finally {
      branchKey.zeroUnencryptedDataKey();
    }
  }

  wipe(): void {
    this.#branchKeys.wipe();
    this.#options.source.wipe();
  }

  async #unwrap(edk: EncryptedDataKey, request: DecryptionRequest, use: DataKeyUse): Promise<NodeDecryptionMaterial> {
    const wanted = { branchKeyId: edk.providerInfo, version: versionOf(edk) };
    const branchKey = await this.#branchKeys.borrow(wanted, use);
    try {
      const manager = new NodeDefaultCryptographicMaterialsManager(this.#keyrings.over(branchKey, use.partition));
      return await manager.decryptMaterials({ ...request, encryptedDataKeys: [edk] });
    } catch {
      throw new ServiceError("ERR_DECRYPTION_FAILED", "decryption failed"); // the SDK's text tells of a secret
    } finally {
      branchKey.zeroUnencryptedDataKey();
    }
  }

  /** @throws ServiceError ERR_ENCRYPTION_CONTEXT */
  #branchKeyIdOf(encryptionContext: EncryptionContext): string {
    const { tenantPair } = this.#options;
    const id = Object.hasOwn(encryptionContext, tenantPair) ? (encryptionContext[tenantPair] ?? "") : "";
    // \p{Cs}: half a surrogate pair has no UTF-8, and would be taken for another character.
    if (id !== "" && id.length <= MAX_ID_LENGTH && !/\p{Cs}/u.test(id)) return id;
    throw new ServiceError("ERR_ENCRYPTION_CONTEXT", "expected a context that names its tenant");
  }
}

const isWrapped = ({ providerId }: EncryptedDataKey): boolean => providerId === HIERARCHY_PROVIDER_ID;

/** @throws ServiceError ERR_MESSAGE_MALFORMED */
function versionOf({ encryptedDataKey }: EncryptedDataKey): string {
  const hex = toHex(encryptedDataKey.subarray(VERSION_BEGIN, VERSION_END));
  const version = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  if (encryptedDataKey.length === WRAPPED_BYTES && isBranchKeyVersion(version)) return version;
  throw new ServiceError("ERR_MESSAGE_MALFORMED", "expected a data key as the hierarchical keyring wraps it");
}
